-- migrate:up
-- Shadow strategies decide and never order: what would have been allowed has a verdict of its own,
-- from which their trades are imagined. Nothing but such decisions touches the indexes.

alter table orchestration.strategies add column mode text not null default 'live'
  check (mode in ('live', 'shadow'));

alter table orchestration.decisions drop constraint decisions_verdict_check;
alter table orchestration.decisions add constraint decisions_verdict_check
  check (verdict in ('held', 'allowed', 'denied', 'shadow'));

create index decisions_imagined on orchestration.decisions (agent_id) where verdict = 'shadow';
create index archived_decisions_imagined on orchestration.archived_decisions (agent_id)
  where verdict = 'shadow';

-- migrate:down
-- forward only: restore a backup instead
