-- migrate:up
-- Which database the books were in: one that is another, restored or promoted, is seen by whoever
-- takes the lease next. `doubt` is what another agent of this database has seen against it.

create table orchestration.database_marks (
  agent_id uuid primary key,
  system text not null,
  timeline bigint not null,
  doubt text not null default ''
);

-- An order under an id of ours from before this epoch that the books do not have.
alter table orchestration.external_orders drop constraint external_orders_kind_check;
alter table orchestration.external_orders add constraint external_orders_kind_check
  check (kind in ('external', 'stray', 'forgotten'));

-- migrate:down
-- forward only: restore a backup instead
