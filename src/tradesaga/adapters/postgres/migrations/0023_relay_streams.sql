-- migrate:up
-- Which stream the marks of the relay are about. When the bus comes back with another one, or with
-- one that ends before the highest mark, it has lost what it had acknowledged.

create table orchestration.relay_streams (
  agent_id uuid primary key,
  created timestamp with time zone not null
);

-- migrate:down
-- forward only: restore a backup instead
