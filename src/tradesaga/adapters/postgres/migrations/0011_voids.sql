-- migrate:up
-- Fills that the venue took back. The correcting fill and trade stand in their own tables; this row
-- keeps the identity of what was taken back, for ever, so that it is never booked or voided again.
-- Written through the rare rows of `apply`, read with the trade.

create table orchestration.voids (
  id uuid primary key,
  agent_id uuid not null,
  order_id uuid not null,
  saga_id uuid not null,
  cumulative numeric not null check (cumulative > 0 and cumulative < 'Infinity'),
  quantity numeric not null check (quantity > 0 and quantity < 'Infinity'),
  price numeric not null check (price < 'Infinity'),
  fee numeric not null check (fee < 'Infinity'),
  reason text not null,
  recorded_at timestamp with time zone not null
);
create index voids_of_order on orchestration.voids (order_id);

-- migrate:down
-- forward only: restore a backup instead
