-- decision: one decision
select id, external_id, agent_id, cycle_id, strategy_id, symbol, action, confidence, quantity,
  reference_price, reasoning, model, as_of, expires_at, created_at, verdict, opening, denials,
  rules
from decisions
where agent_id = $1 and id = $2;

-- decision_named: the decision that has the id $2, or whose saga or order has it, or the name $3
select id from decisions where agent_id = $1 and id = $2
union all
select decision_id from sagas where agent_id = $1 and id = $2
union all
select decision_id from orders where agent_id = $1 and id = $2
union all
select decision_id from orders where agent_id = $1 and client_order_id = $3
union all
select o.decision_id from venue_order_ids v join orders o on o.id = v.order_id
where v.agent_id = $1 and v.venue_order_id = $3
limit 1;

-- denied_at_execution: what the rules said when the saga was to begin, within its time ($3 to $4)
select body::json from journal_log
where agent_id = $1 and subject = $2 and at between $3 and $4 and kind = 'decision.denied'
order by seq desc limit 1;

-- trading_cycles_before: the latest cycles but heartbeats that had begun
select id, agent_id, type, triggered_by, coalesce(scheduled_at, started_at) as scheduled_at,
  started_at, epoch, status, cursor, completed_at, strategies_processed, decisions_generated,
  orders_submitted, orders_filled, errors, metadata, version
from cycles
where agent_id = $1 and started_at <= $2 and type <> 'heartbeat'
order by started_at desc, id desc limit $3;

-- agent_commanded_before: the last change of the agent's state from $3 to $4
select body::json from journal_log
where agent_id = $1 and subject = $2 and at between $3 and $4 and kind like 'agent.%'
order by seq desc limit 1;

-- limit_changes: all changes of the limits, the first one first
select id, agent_id, revision, mode, limits, expires_at, actor, reason, made_at
from risk_limits where agent_id = $1 order by revision;

-- approval: one question to an operator
select id, agent_id, decision_id, saga_id, strategy_id, symbol, side, quantity, type, limit_price,
  time_in_force, reference_price, digest, created_at, expires_at, updated_at, state, decided_by,
  decided_at, reason, version, reminders
from approvals
where agent_id = $1 and id = $2;

-- approvals: the latest ones after a place ($3, $4); $2 is a state or null
select id, agent_id, decision_id, saga_id, strategy_id, symbol, side, quantity, type, limit_price,
  time_in_force, reference_price, digest, created_at, expires_at, updated_at, state, decided_by,
  decided_at, reason, version, reminders
from approvals
where agent_id = $1 and ($2::text is null or state = $2)
  and (created_at, id) < ($3::timestamptz, $4::uuid)
order by created_at desc, id desc
limit $5;

-- decision_costs: what the decisions of one day have cost
select coalesce(sum(amount), 0) as amount from decision_charges where agent_id = $1 and day = $2;
