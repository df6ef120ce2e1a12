-- migrate:up
-- A strategy may be deleted, and what it holds may be on its way out.

alter table orchestration.strategies
  add column deleted_at timestamp with time zone,
  add column closing_at timestamp with time zone,
  add column close_attempts integer not null default 0 check (close_attempts >= 0),
  add column close_failure text not null default '';

-- migrate:down
-- forward only: restore a backup instead
