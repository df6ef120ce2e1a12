-- migrate:up
-- What the orchestrator adds to the specification's schedules. A schedule that was removed keeps its
-- row: the log speaks of it.

alter table orchestration.strategy_schedules
  add column cycle_type text not null default 'analysis'
    check (cycle_type in ('analysis', 'rebalance')),
  add column zone text not null default 'America/New_York',
  add column priority integer not null default 0,
  add column catch_up interval not null default interval '60 seconds'
    check (catch_up >= interval '0'),
  add column overlap text not null default 'skip' check (overlap in ('skip', 'buffer')),
  add column removed_at timestamp with time zone;
create index schedules_of_agent on orchestration.strategy_schedules (agent_id)
  where removed_at is null;

-- migrate:down
-- forward only: restore a backup instead
