-- migrate:up
-- The processes that can lead, side by side. No agent's state: written outside the log, forgotten
-- when nobody renews it. `id` is the holder of the leases.
create table orchestration.nodes (
  id text primary key,
  url text not null,
  release text not null,
  code text not null,
  configuration text not null,
  started_at timestamp with time zone not null default clock_timestamp(),
  seen_at timestamp with time zone not null
) with (fillfactor = 10);

-- migrate:down
-- forward only: restore a backup instead
