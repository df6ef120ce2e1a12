-- migrate:up
-- What people did, alarms and whatever else is rare is found in the log without reading past all
-- that cycles, decisions and orders write. Those rows are not in the index and pay nothing for it.

create index journal_log_rare on orchestration.journal_log (agent_id, seq)
  where (actor <> 'engine' and not starts_with(actor, 'neighbour:'))
    or kind not in ('cycle.started', 'cycle.step', 'cycle.completed', 'analysis.requested',
      'decision.judged', 'saga.step', 'saga.steps', 'saga.fact', 'schedules.fired',
      'schedules.settled');

-- migrate:down
-- forward only: restore a backup instead
