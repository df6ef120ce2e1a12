-- finished_cycles: analysis cycles that have ended, from a moment on, with what came of them
select
  c.id, coalesce(c.scheduled_at, c.started_at) as scheduled_at, c.started_at, c.status,
  c.decisions_generated, c.orders_submitted, c.orders_filled,
  coalesce(c.metadata ->> 'positions', '') as positions,
  coalesce(c.metadata ->> 'sagas', '') as sagas,
  (c.metadata ->> 'profit')::numeric as profit,
  (c.metadata ->> 'equity')::numeric as equity,
  coalesce(jsonb_path_query_array(c.errors, '$[*].error')::text, '[]') as errors,
  coalesce((
    select string_agg(
      d.action || ' ' || trim_scale(d.quantity)::text || ' ' || d.symbol
        || case d.verdict when 'denied' then ' denied ' || coalesce(d.denials -> 0 ->> 'code', '')
          else '' end,
      ', ' order by d.created_at, d.id)
    from decisions d where d.cycle_id = c.id and d.action <> 'hold'
  ), '') as acting
from cycles c
where c.agent_id = $1 and c.type = 'analysis' and c.status <> 'started' and c.started_at >= $2
order by c.started_at, c.id
limit $3;

-- unsettled: how much is still under way: cycles, sagas, events that wait to be published
select
  (select count(*) from cycles where agent_id = $1 and status = 'started') as cycles,
  (select count(*) from sagas where agent_id = $1
    and status not in ('completed', 'completed_partial', 'compensated', 'manual_required')) as sagas,
  (select count(*) from journal_log l where l.agent_id = $1 and l.event_type is not null
    and l.seq > coalesce((select max(m.seq) from relay_marks m where m.agent_id = $1), 0)) as events;

-- was_started: whether the agent has ever been started
select exists (select 1 from journal_log where agent_id = $1 and kind = 'agent.started');

-- count_cycles: cycles by type and status
select type || ' ' || status as name, count(*) as number
from cycles where agent_id = $1 group by type, status order by type, status;

-- count_decisions: decisions by action and verdict
select action || ' ' || verdict as name, count(*) as number
from decisions where agent_id = $1 group by action, verdict order by action, verdict;

-- count_orders: orders by status
select status as name, count(*) as number
from orders where agent_id = $1 group by status order by status;

-- count_fills: fills by side
select side as name, count(*) as number
from fills where agent_id = $1 and quantity > 0 group by side order by side;

-- count_sagas: sagas by status
select status as name, count(*) as number
from sagas where agent_id = $1 group by status order by status;

-- last_figures: equity and profit as the latest completed analysis cycle saw them
select (metadata ->> 'equity')::numeric as equity, (metadata ->> 'profit')::numeric as profit
from cycles
where agent_id = $1 and type = 'analysis' and status = 'completed' and metadata ? 'profit'
order by started_at desc limit 1;

-- order_times: when the first and the last order were made
select min(created_at) as first, max(created_at) as last from orders where agent_id = $1;

-- reserved: what open reservations hold, with the names of their orders
select o.client_order_id, coalesce(o.venue_order_id, '') as venue_order_id,
  greatest(r.amount - r.consumed, 0) as outstanding
from reservations r join orders o on o.saga_id = r.saga_id
where r.agent_id = $1 and r.state = 'open' and r.amount > r.consumed
order by r.created_at, r.id;

-- order_facts: what we believe of each of our orders
select id, client_order_id, coalesce(venue_order_id, '') as venue_order_id, status, symbol, side,
  quantity, filled_quantity, sends
from orders where agent_id = $1 order by created_at, id;

-- left_orders: orders of others that were made of a decision, and whether one of ours was, too
select e.venue_order_id, e.decision_id, exists (
    select 1 from decisions d join orders o on o.decision_id = d.id
    where d.agent_id = $1 and d.external_id = e.decision_id and o.sends > 0
  ) as is_ours_too
from external_orders e
where e.agent_id = $1 and e.decision_id is not null and e.state <> 'ours'
order by e.seen_at, e.id;
