-- migrate:up
-- Orders on our account that are not ours, as they were last seen. Never touched. Written through
-- the rare rows.

create table orchestration.external_orders (
  id uuid primary key,
  agent_id uuid not null,
  venue_order_id text not null,
  client_order_id text,
  symbol text not null,
  side text check (side in ('buy', 'sell')),
  quantity numeric,
  filled_quantity numeric not null check (filled_quantity >= 0),
  type text,
  limit_price numeric,
  decision_id text,
  kind text not null check (kind in ('external', 'stray')),
  state text not null check (state in ('open', 'gone', 'ours')),
  placed_at timestamp with time zone,
  seen_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  warned_at timestamp with time zone,
  version bigint not null,
  unique (agent_id, venue_order_id),
  check ((state = 'open') = (ended_at is null))
);
create index external_orders_latest on orchestration.external_orders (agent_id, seen_at);

-- migrate:down
-- forward only: restore a backup instead
