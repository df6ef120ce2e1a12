-- migrate:up
-- What the lists and the view of one saga need. Rows come in the order of time, so a BRIN index
-- costs a few bytes for 128 pages and nothing at a write; the lists are in the order of creation,
-- which no update changes (the updates of a saga stay HOT).

create index sagas_latest on orchestration.sagas (agent_id, created_at, id);
create index journal_log_at on orchestration.journal_log using brin (at);
create index fills_recorded on orchestration.fills using brin (recorded_at);

-- migrate:down
-- forward only: restore a backup instead
