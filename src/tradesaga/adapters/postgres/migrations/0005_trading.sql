-- migrate:up
-- What a trade saga owns. No index contains a column that a running saga's update sets, so that
-- those updates stay on their page (HOT); only the end of a saga leaves an index. No foreign keys
-- either: one Change writes the whole family, and each check would cost a lookup and a row lock.
-- The invariant checks look for orphans instead. `< 'Infinity'` also refuses NaN.

create table orchestration.decisions (
  id uuid primary key,
  external_id text not null,
  agent_id uuid not null,
  cycle_id uuid,
  strategy_id uuid,
  symbol text not null,
  action text not null check (action in ('buy', 'sell', 'hold')),
  confidence numeric not null check (confidence between 0 and 1),
  quantity numeric not null check (quantity >= 0 and quantity < 'Infinity'),
  reference_price numeric not null check (reference_price >= 0 and reference_price < 'Infinity'),
  reasoning text not null,
  model text not null,
  as_of timestamp with time zone not null,
  expires_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  verdict text not null check (verdict in ('held', 'allowed', 'denied')),
  opening boolean not null,
  denials json not null
);
create index decisions_of_cycle on orchestration.decisions (cycle_id);

create table orchestration.sagas (
  id uuid primary key,
  agent_id uuid not null,
  type text not null,
  decision_id uuid not null,
  strategy_id uuid,
  cycle_id uuid,
  symbol text not null,
  created_at timestamp with time zone not null,
  updated_at timestamp with time zone not null,
  deadline_at timestamp with time zone not null,
  status text not null check (status in ('pending', 'running', 'compensating', 'completed',
    'completed_partial', 'compensated', 'manual_required')),
  cursor integer not null check (cursor >= 0),
  attempt integer not null check (attempt >= 0),
  due timestamp with time zone,
  pivoted boolean not null,
  partial boolean not null,
  reason text not null,
  version bigint not null check (version >= 1),
  unique (agent_id, decision_id, type)
) with (fillfactor = 50);
create index sagas_open on orchestration.sagas (agent_id)
  where status not in ('completed', 'completed_partial', 'compensated');

create table orchestration.orders (
  id uuid primary key,
  agent_id uuid not null,
  saga_id uuid not null,
  decision_id uuid not null,
  strategy_id uuid,
  cycle_id uuid,
  leg integer not null,
  purpose text not null,
  client_order_id text not null,
  symbol text not null,
  side text not null check (side in ('buy', 'sell')),
  quantity numeric not null check (quantity > 0 and quantity < 'Infinity'),
  type text not null check (type in ('market', 'limit')),
  limit_price numeric check (limit_price > 0 and limit_price < 'Infinity'),
  time_in_force text not null,
  opening boolean not null,
  reference_price numeric not null check (reference_price >= 0 and reference_price < 'Infinity'),
  expires_at timestamp with time zone not null,
  created_at timestamp with time zone not null,
  status text not null check (status in ('intent', 'unknown', 'working', 'partially_filled',
    'filled', 'canceled', 'rejected', 'expired', 'not_placed')),
  venue_order_id text,
  filled_quantity numeric not null check (filled_quantity >= 0 and filled_quantity < 'Infinity'),
  filled_value numeric not null check (filled_value < 'Infinity'),
  fees numeric not null check (fees < 'Infinity'),
  sends integer not null check (sends >= 0),
  lookups integer not null check (lookups >= 0),
  unknown_since timestamp with time zone,
  cancel_wanted_at timestamp with time zone,
  cancel_requested_at timestamp with time zone,
  submitted_at timestamp with time zone,
  acked_at timestamp with time zone,
  ended_at timestamp with time zone,
  evidence text,
  version bigint not null check (version >= 1),
  unique (agent_id, client_order_id)
) with (fillfactor = 50);
create index orders_of_saga on orchestration.orders (saga_id);
create index orders_created on orchestration.orders using brin (created_at);

-- The venue's id comes with an update: it is looked up here, so that the update touches no index.
create table orchestration.venue_order_ids (
  agent_id uuid not null,
  venue_order_id text not null,
  order_id uuid not null,
  primary key (agent_id, venue_order_id)
);

create table orchestration.reservations (
  id uuid primary key,
  agent_id uuid not null,
  saga_id uuid not null unique,
  symbol text not null,
  amount numeric not null check (amount >= 0 and amount < 'Infinity'),
  created_at timestamp with time zone not null,
  consumed numeric not null check (consumed < 'Infinity'),
  released numeric not null check (released >= 0 and released < 'Infinity'),
  state text not null check (state in ('open', 'closed')),
  closed_at timestamp with time zone,
  version bigint not null check (version >= 1)
) with (fillfactor = 50);

create table orchestration.fills (
  id uuid primary key,
  agent_id uuid not null,
  order_id uuid not null,
  saga_id uuid not null,
  venue_fill_id text not null,
  symbol text not null,
  side text not null check (side in ('buy', 'sell')),
  quantity numeric not null check (quantity <> 0 and quantity < 'Infinity'),
  price numeric not null check (price < 'Infinity'),
  fee numeric not null check (fee < 'Infinity'),
  filled_at timestamp with time zone not null,
  recorded_at timestamp with time zone not null,
  unique (agent_id, venue_fill_id)
);

create table orchestration.trades (
  id uuid primary key,
  agent_id uuid not null,
  fill_id uuid not null unique,
  order_id uuid not null,
  saga_id uuid not null,
  decision_id uuid not null,
  strategy_id uuid,
  symbol text not null,
  side text not null check (side in ('buy', 'sell')),
  quantity numeric not null check (quantity <> 0 and quantity < 'Infinity'),
  price numeric not null check (price < 'Infinity'),
  fee numeric not null check (fee < 'Infinity'),
  executed_at timestamp with time zone not null,
  correction_reason text
);

-- Sums are added to, never set: fills of one symbol never conflict.
create table orchestration.positions (
  agent_id uuid not null,
  symbol text not null,
  quantity numeric not null,
  bought_quantity numeric not null,
  bought_value numeric not null,
  sold_quantity numeric not null,
  sold_value numeric not null,
  fees numeric not null,
  updated_at timestamp with time zone not null,
  primary key (agent_id, symbol)
) with (fillfactor = 20);

create table orchestration.inbox (
  agent_id uuid not null,
  event_id text not null,
  event_type text not null,
  source text not null,
  received_at timestamp with time zone not null,
  primary key (agent_id, event_id)
);

create table orchestration.dead_letters (
  id bigint generated always as identity primary key,
  agent_id uuid not null,
  subject text not null,
  reason text not null,
  body bytea not null,
  received_at timestamp with time zone not null
);

-- migrate:down
-- forward only: restore a backup instead
