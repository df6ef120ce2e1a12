-- migrate:up
-- Decisions are listed by creation: a page is read from its place on, whatever their number.

create index decisions_by_time on orchestration.decisions (agent_id, created_at, id);
create index archived_decisions_by_time
  on orchestration.archived_decisions (agent_id, created_at, id);

-- migrate:down
-- forward only: restore a backup instead
