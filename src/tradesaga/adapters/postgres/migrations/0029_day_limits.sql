-- migrate:up
-- Since when a strategy acts as it is now, for its first day at a part of the size; and what its
-- decisions cost, a ledger that is only added to. Written through the rare rows.

alter table orchestration.strategies add column live_at timestamp with time zone;
update orchestration.strategies set live_at = updated_at
where status = 'active' and mode = 'live' and deleted_at is null;

create table orchestration.decision_charges (
  id uuid primary key,
  agent_id uuid not null,
  day date not null,
  charged_at timestamp with time zone not null,
  amount numeric not null,
  decisions integer not null check (decisions >= 0),
  prompt_tokens bigint not null check (prompt_tokens >= 0),
  completion_tokens bigint not null check (completion_tokens >= 0)
);
create index decision_charges_of_day on orchestration.decision_charges (agent_id, day);

-- migrate:down
-- forward only: restore a backup instead
