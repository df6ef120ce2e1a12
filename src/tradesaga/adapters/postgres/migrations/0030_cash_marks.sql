-- migrate:up
-- From what the cash of the venue's account is measured. Written through the rare rows.

create table orchestration.cash_marks (
  id uuid primary key references orchestration.agents,
  agent_id uuid not null,
  base numeric not null,
  marked_at timestamp with time zone not null,
  version bigint not null,
  check (agent_id = id)
);

-- migrate:down
-- forward only: restore a backup instead
