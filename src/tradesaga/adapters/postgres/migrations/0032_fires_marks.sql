-- migrate:up
-- Up to when the fires of all schedules have been taken: one row where very many are due at once,
-- whose own rows follow. Written through the rare rows.

create table orchestration.fires_marks (
  id uuid primary key references orchestration.agents,
  agent_id uuid not null,
  fired_until timestamp with time zone not null,
  version bigint not null,
  check (agent_id = id)
);

-- migrate:down
-- forward only: restore a backup instead
