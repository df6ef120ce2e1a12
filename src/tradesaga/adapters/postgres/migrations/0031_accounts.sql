-- migrate:up
-- The agents that people have made beside the default one, in whose log they stand (`agent_id`).
-- Written through the rare rows.

create table orchestration.accounts (
  id uuid primary key,
  agent_id uuid not null,
  name text not null check (name <> ''),
  trading_engine text not null,
  created_at timestamp with time zone not null,
  created_by text not null,
  retired_at timestamp with time zone,
  version bigint not null
);
create unique index accounts_live_name on orchestration.accounts (agent_id, name)
  where retired_at is null;
create unique index accounts_live_venue on orchestration.accounts (agent_id, trading_engine)
  where retired_at is null;

-- migrate:down
-- forward only: restore a backup instead
