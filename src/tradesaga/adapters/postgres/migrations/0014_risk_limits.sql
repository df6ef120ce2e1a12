-- migrate:up
-- Changes of the risk limits, only added: who set what for which mode, why, and until when.

create table orchestration.risk_limits (
  id uuid primary key,
  agent_id uuid not null,
  revision bigint not null check (revision >= 1),
  mode text not null check (mode in ('normal', 'conservative', 'aggressive')),
  limits json not null,
  expires_at timestamp with time zone,
  actor text not null,
  reason text not null check (reason <> ''),
  made_at timestamp with time zone not null,
  unique (agent_id, revision)
);

-- migrate:down
-- forward only: restore a backup instead
