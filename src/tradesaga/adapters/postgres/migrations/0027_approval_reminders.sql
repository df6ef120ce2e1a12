-- migrate:up
-- How many reminders of an order that waits for an operator have been given: each is given once,
-- whatever restarts between them.

alter table orchestration.approvals add column reminders integer not null default 0
  check (reminders between 0 and 2);

-- migrate:down
-- forward only: restore a backup instead
