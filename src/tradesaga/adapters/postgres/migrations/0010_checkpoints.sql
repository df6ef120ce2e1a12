-- migrate:up
-- Under which code, configuration and strategies an agent's state came to be, and what a process
-- that took over found open. The view of that name showed the heads under another word.

drop view orchestration.checkpoints;

create table orchestration.checkpoints (
  id uuid primary key,
  agent_id uuid not null,
  taken_at timestamp with time zone not null,
  occasion text not null check (occasion in ('recovered', 'handed_over')),
  epoch bigint not null,
  lineage integer not null check (lineage >= 1),
  release text not null,
  code text not null,
  configuration text not null,
  strategies text not null,
  changed text[] not null,
  report json not null
);
create index checkpoints_latest on orchestration.checkpoints (agent_id, epoch, taken_at);

-- migrate:down
-- forward only: restore a backup instead
