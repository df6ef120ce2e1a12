-- migrate:up
-- What the orchestrator adds to the specification's tables, all with defaults, and the strategies.

create table orchestration.strategies (
  id uuid primary key,
  agent_id uuid not null,
  external_id text not null,
  name text not null,
  type text not null,
  symbols text[] not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  status text not null check (status in ('active', 'paused', 'stopped')),
  risk_mode text not null,
  parameters jsonb not null,
  priority integer not null,
  last_run_at timestamp with time zone,
  version bigint not null check (version >= 1),
  unique (agent_id, external_id)
) with (fillfactor = 50);

alter table orchestration.cycles
  add column agent_id uuid not null default '00000000-0000-7000-8000-000000000001',
  add column triggered_by text not null default 'schedule'
    check (triggered_by in ('schedule', 'manual', 'event')),
  add column scheduled_at timestamp with time zone,
  add column epoch bigint not null default 0,
  add column cursor integer not null default 0 check (cursor >= 0),
  add column version bigint not null default 1 check (version >= 1);
create index cycles_latest on orchestration.cycles (agent_id, started_at desc);

alter table orchestration.cycle_logs
  add column agent_id uuid not null default '00000000-0000-7000-8000-000000000001';

alter table orchestration.strategy_schedules
  add column agent_id uuid not null default '00000000-0000-7000-8000-000000000001',
  add column version bigint not null default 1 check (version >= 1);

-- migrate:down
-- forward only: restore a backup instead
