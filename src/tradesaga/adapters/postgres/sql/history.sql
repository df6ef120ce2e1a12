-- log: rows of one agent's log below a number ($2), the latest first; $3 to $6 narrow, or are null
select seq, at, epoch, kind, subject, actor, body, event_type, event_id, correlation_id,
  causation_id, hash
from journal_log
where agent_id = $1 and seq < $2
  and ($3::timestamptz is null or at >= $3) and ($4::timestamptz is null or at < $4)
  and ($5::text is null or starts_with(actor, $5))
  and ($6::text is null or starts_with(kind, $6))
order by seq desc
limit $7;

-- rare_log: the same of the rows that migration 0034 indexes, by that very condition
select seq, at, epoch, kind, subject, actor, body, event_type, event_id, correlation_id,
  causation_id, hash
from journal_log
where agent_id = $1 and seq < $2
  and ((actor <> 'engine' and not starts_with(actor, 'neighbour:'))
    or kind not in ('cycle.started', 'cycle.step', 'cycle.completed', 'analysis.requested',
      'decision.judged', 'saga.step', 'saga.steps', 'saga.fact', 'schedules.fired',
      'schedules.settled'))
  and ($3::timestamptz is null or at >= $3) and ($4::timestamptz is null or at < $4)
  and ($5::text is null or starts_with(actor, $5))
  and ($6::text is null or starts_with(kind, $6))
order by seq desc
limit $7;

-- decisions: by creation after a place ($2, $3), the latest first; $4 to $6 narrow, or are null
select id, external_id, agent_id, cycle_id, strategy_id, symbol, action, confidence, quantity,
  reference_price, reasoning, model, as_of, expires_at, created_at, verdict, opening, denials,
  rules
from decisions
where agent_id = $1 and (created_at, id) < ($2::timestamptz, $3::uuid)
  and ($4::text is null or symbol = $4) and ($5::uuid is null or cycle_id = $5)
  and ($6::text is null or verdict = $6)
order by created_at desc, id desc
limit $7;
