-- migrate:up
-- Orders that wait, or waited, for a named operator. Approving one and ordering are one commit, so
-- that no approval is ever given and not used, or used twice. Written through the rare rows.

create table orchestration.approvals (
  id uuid primary key,
  agent_id uuid not null,
  decision_id uuid not null,
  saga_id uuid not null,
  strategy_id uuid,
  symbol text not null,
  side text not null check (side in ('buy', 'sell')),
  quantity numeric not null check (quantity > 0 and quantity < 'Infinity'),
  type text not null,
  limit_price numeric,
  time_in_force text not null,
  reference_price numeric not null,
  digest text not null,
  created_at timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  state text not null check (state in ('pending', 'consumed', 'denied', 'expired')),
  decided_by text,
  decided_at timestamp with time zone,
  reason text not null,
  version bigint not null,
  unique (agent_id, decision_id),
  check ((state = 'pending') = (decided_at is null)),
  check (state not in ('consumed', 'denied') or coalesce(decided_by, '') <> '')
);
create index approvals_latest on orchestration.approvals (agent_id, created_at);

-- migrate:down
-- forward only: restore a backup instead
