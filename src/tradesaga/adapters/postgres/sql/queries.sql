-- lock_heads: nothing; waits until no other transaction holds the heads of these agents
select 1 from heads where agent_id = any ($1::uuid[]) order by agent_id for update;

-- read_heads: where the logs of these agents end
select agent_id, epoch, seq, hash from heads where agent_id = any ($1::uuid[]);

-- hash_at: the hash of one log row
select hash from journal_log where agent_id = $1 and seq = $2;

-- agent: one agent
select s.id, a.name, s.updated_at, s.status, s.mode, s.pause_reasons, s.started_at, s.stopped_at,
  s.paused_at, s.resume_at, s.last_error, s.last_error_at, s.version
from agent_status s join agents a using (id)
where s.id = $1;

-- counts: the counters of one agent
select coalesce(cycles_completed, 0) as cycles_completed,
  coalesce(decisions_generated, 0) as decisions_generated,
  coalesce(orders_executed, 0) as orders_executed, coalesce(errors_count, 0) as errors_count
from agent_status
where id = $1;

-- ladder: what stands on the ladder of one agent
select id, agent_id, updated_at, reasons, version from ladders where id = $1;

-- equity_marks: what the losses of one agent are measured from
select id, agent_id, session_at, session_equity, peak_equity, updated_at, version
from equity_marks
where id = $1;

-- cash_mark: what the cash of one agent's account is measured from
select id, agent_id, base, marked_at, version from cash_marks where id = $1;

-- fires_mark: up to when the fires of one agent's schedules have been taken
select id, agent_id, fired_until, version from fires_marks where id = $1;

-- open_trades: saga, order and reservation of every trade that has not ended, oldest first
select {trade}
from sagas s join orders o on o.saga_id = s.id join reservations r on r.saga_id = s.id
where s.agent_id = $1 and s.status not in ('completed', 'completed_partial', 'compensated')
order by s.created_at, s.id;

-- absent_trades: as open_trades, of orders made since $2 that were proven absent
select {trade}
from orders o join sagas s on s.id = o.saga_id join reservations r on r.saga_id = s.id
where o.agent_id = $1 and o.created_at >= $2 and o.status = 'not_placed'
  and (o.sends > 0 or o.lookups > 0)
order by o.created_at, o.id
limit 1000;

-- trade_of: saga, order and reservation of the trade whose order has one of these ids
with found as (
  select id, 1 as rank from orders where agent_id = $1 and client_order_id = $3
  union all
  select order_id, 2 from venue_order_ids where agent_id = $1 and venue_order_id = $2
  order by rank limit 1
)
select {trade}
from found join orders o on o.id = found.id join sagas s on s.id = o.saga_id
  join reservations r on r.saga_id = s.id;

-- unfinished_cycles: cycles that are still started, oldest first
select id, agent_id, type, triggered_by, coalesce(scheduled_at, started_at) as scheduled_at,
  started_at, epoch, status, cursor, completed_at, strategies_processed, decisions_generated,
  orders_submitted, orders_filled, errors, metadata, version
from cycles
where agent_id = $1 and status = 'started'
order by started_at, id;

-- latest_cycles: the latest cycles after a place ($3, $4), of one status unless it is null
select id, agent_id, type, triggered_by, coalesce(scheduled_at, started_at) as scheduled_at,
  started_at, epoch, status, cursor, completed_at, strategies_processed, decisions_generated,
  orders_submitted, orders_filled, errors, metadata, version
from cycles
where agent_id = $1 and ($2::text is null or status = $2)
  and (started_at, id) < ($3::timestamptz, $4::uuid)
order by started_at desc, id desc
limit $5;

-- cycle: one cycle
select id, agent_id, type, triggered_by, coalesce(scheduled_at, started_at) as scheduled_at,
  started_at, epoch, status, cursor, completed_at, strategies_processed, decisions_generated,
  orders_submitted, orders_filled, errors, metadata, version
from cycles
where agent_id = $1 and id = $2;

-- decisions_of_cycle: in order of creation
select id, external_id, agent_id, cycle_id, strategy_id, symbol, action, confidence, quantity,
  reference_price, reasoning, model, as_of, expires_at, created_at, verdict, opening, denials,
  rules
from decisions
where agent_id = $1 and cycle_id = $2
order by created_at, id;

-- orders_of_cycle: in order of creation; by way of its decisions, which are indexed
select o.id, o.agent_id, o.saga_id, o.decision_id, o.strategy_id, o.cycle_id, o.leg, o.purpose,
  o.client_order_id, o.symbol, o.side, o.quantity, o.type, o.limit_price, o.time_in_force,
  o.opening, o.reference_price, o.expires_at, o.created_at, o.status, o.venue_order_id,
  o.filled_quantity, o.filled_value, o.fees, o.sends, o.lookups, o.unknown_since,
  o.cancel_wanted_at, o.cancel_requested_at, o.submitted_at, o.acked_at, o.ended_at, o.evidence,
  o.version
from decisions d
  join sagas s on s.agent_id = d.agent_id and s.decision_id = d.id
  join orders o on o.saga_id = s.id
where d.agent_id = $1 and d.cycle_id = $2
order by o.created_at, o.id;

-- logs_of_cycle: in order of writing
select cycle_id, level, message, context, timestamp
from cycle_logs
where agent_id = $1 and cycle_id = $2
order by id;

-- schedules: those of one agent that were not removed, in order of creation
select id, agent_id, strategy_id, cycle_type, schedule_type, schedule_value, zone, created_at,
  updated_at, enabled, priority, catch_up, overlap, last_run_at, next_run_at, removed_at, version
from strategy_schedules
where agent_id = $1 and removed_at is null
order by created_at, id;

-- strategies: all of one agent by name
select id, agent_id, external_id, name, type, symbols, created_at, updated_at, status, risk_mode,
  parameters, priority, last_run_at, version, deleted_at, closing_at, close_attempts, close_failure,
  mode, live_at
from strategies
where agent_id = $1
order by name, id;

-- last_runs: when each strategy was analysed last: in the latest cycles, or by a schedule of its own
select strategy_id, max(run_at) as run_at
from (
  select d.strategy_id, c.started_at as run_at
  from (
    select id, started_at from cycles
    where agent_id = $1 and type = 'analysis'
    order by started_at desc
    limit $2
  ) c
  join decisions d on d.cycle_id = c.id
  where d.strategy_id is not null
  union all
  select strategy_id, last_run_at
  from strategy_schedules
  where agent_id = $1 and strategy_id is not null and last_run_at is not null
) runs
group by strategy_id;

-- trades_of_symbols: all trades in these symbols that belong to a strategy, as they were executed
select id, agent_id, fill_id, order_id, saga_id, decision_id, strategy_id, symbol, side, quantity,
  price, fee, executed_at, correction_reason
from trades
where agent_id = $1 and strategy_id is not null and symbol = any ($2::text[])
order by executed_at, id;

-- strategy: one that is not deleted
select id, agent_id, external_id, name, type, symbols, created_at, updated_at, status, risk_mode,
  parameters, priority, last_run_at, version, deleted_at, closing_at, close_attempts, close_failure,
  mode, live_at
from strategies
where agent_id = $1 and id = $2 and deleted_at is null;

-- imagined_of_strategy: the decisions of one shadow that would have been orders
select id, external_id, agent_id, cycle_id, strategy_id, symbol, action, confidence, quantity,
  reference_price, reasoning, model, as_of, expires_at, created_at, verdict, opening, denials,
  rules
from decisions
where agent_id = $1 and verdict = 'shadow' and strategy_id = $2
order by created_at, id;

-- imagined_decisions: those of shadow strategies that would have been orders, as they were made
select id, external_id, agent_id, cycle_id, strategy_id, symbol, action, confidence, quantity,
  reference_price, reasoning, model, as_of, expires_at, created_at, verdict, opening, denials,
  rules
from decisions
where agent_id = $1 and verdict = 'shadow'
order by created_at, id;

-- imagined_positions: what shadow strategies would hold
select strategy_id, symbol,
  sum(case action when 'buy' then quantity else -quantity end) as quantity
from decisions
where agent_id = $1 and verdict = 'shadow'
group by strategy_id, symbol;

-- positions: the sums of all symbols ever traded
select symbol, quantity, bought_quantity, bought_value, sold_quantity, sold_value, fees
from positions
where agent_id = $1
order by symbol;

-- was_received: whether the inbox has one of the events
select exists (select from inbox where agent_id = $1 and event_id = any($2::text[]));

-- submissions_since: orders as they count for the rules on pace
select created_at, strategy_id, cycle_id, symbol, side, quantity, reference_price, opening, purpose,
  status in ('rejected', 'not_placed', 'canceled', 'expired') and filled_quantity = 0,
  case when not opening and filled_quantity > 0 then coalesce(ended_at, created_at) end
from orders where agent_id = $1 and created_at >= $2 order by created_at, id;

-- events_between: events of ours after $2 and up to $3, published or not
select seq, event_id, event_type, event_payload, correlation_id, causation_id, at
from journal_log
where agent_id = $1 and event_type is not null and seq > $2 and ($3::bigint is null or seq <= $3)
order by seq
limit $4;

-- pending_events: the next events after the published ones
select seq, event_id, event_type, event_payload, correlation_id, causation_id, at
from journal_log
where agent_id = $1 and event_type is not null
  and seq > coalesce((select max(seq) from relay_marks where agent_id = $1), 0)
order by seq
limit $2;

-- mark_published: nothing; keeps the greatest mark of each of $1
insert into relay_marks (agent_id, seq, stream_seq, at)
select x.agent_id, x.seq, x.stream_seq, x.at
from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[])
  as x(agent_id, seq, stream_seq, at)
where x.seq > coalesce((select max(m.seq) from relay_marks m where m.agent_id = x.agent_id), 0)
on conflict do nothing;

-- backlog: how many events wait
select count(*)
from journal_log
where agent_id = $1 and event_type is not null
  and seq > coalesce((select max(seq) from relay_marks where agent_id = $1), 0);

-- log_rows: the whole log of one agent
select agent_id, seq, at, epoch, kind, subject, actor, body, event_type, event_id, event_payload,
  correlation_id, causation_id, hash
from journal_log
where agent_id = $1
order by seq;

-- log_rows_after: the log of one agent from a place on, so many rows
select agent_id, seq, at, epoch, kind, subject, actor, body, event_type, event_id, event_payload,
  correlation_id, causation_id, hash
from journal_log
where agent_id = $1 and seq > $2
order by seq
limit $3;

-- checkpoints: the latest ones after a place ($2, $3), latest first
select id, agent_id, taken_at, occasion, epoch, lineage, release, code, configuration, strategies,
  changed, report
from checkpoints
where agent_id = $1 and (epoch, taken_at) < ($2::bigint, $3::timestamptz)
order by epoch desc, taken_at desc
limit $4;

-- lease: who holds an agent, and for how long yet
select holder, epoch, expires_at - clock_timestamp() as left from leases where agent_id = $1;

-- take_lease: the new epoch; no row while another holder's time runs and it is not known dead ($4)
with taken as (
  insert into leases as l (agent_id, holder, epoch, expires_at, taken_at)
  values ($1, $2::text, coalesce((select h.epoch from heads h where h.agent_id = $1), 0) + 1,
    clock_timestamp() + $3::interval, clock_timestamp())
  on conflict (agent_id) do update
    set holder = excluded.holder, epoch = l.epoch + 1,
      expires_at = clock_timestamp() + $3::interval, taken_at = clock_timestamp()
    where l.holder is null or l.holder = excluded.holder or l.expires_at < clock_timestamp()
      or l.epoch = $4::bigint
  returning l.epoch
),
fenced as (
  insert into heads as h (agent_id, epoch)
  select $1, epoch from taken
  on conflict (agent_id) do update set epoch = excluded.epoch
  returning h.epoch
)
select epoch from fenced;

-- leases: who holds each of $1, and for how long yet
select agent_id, holder, epoch, expires_at - clock_timestamp() as left
from leases where agent_id = any ($1);

-- take_leases: new epochs of those of $1 that $2 may have; the holders $4 are known to be dead
with taken as (
  insert into leases as l (agent_id, holder, epoch, expires_at, taken_at)
  select x.agent_id, $2::text, coalesce(h.epoch, 0) + 1, clock_timestamp() + $3::interval,
    clock_timestamp()
  from unnest($1::uuid[]) as x(agent_id) left join heads h on h.agent_id = x.agent_id
  order by x.agent_id
  on conflict (agent_id) do update
    set holder = excluded.holder, epoch = l.epoch + 1,
      expires_at = clock_timestamp() + $3::interval, taken_at = clock_timestamp()
    where l.holder is null or l.holder = excluded.holder or l.expires_at < clock_timestamp()
      or l.holder = any ($4::text[])
  returning l.agent_id, l.epoch
),
fenced as (
  insert into heads as h (agent_id, epoch)
  select agent_id, epoch from taken order by agent_id
  on conflict (agent_id) do update set epoch = excluded.epoch
  returning h.agent_id, h.epoch
)
select agent_id, epoch from fenced;

-- renew_lease: the epoch; no row when another holder has it
update leases set expires_at = clock_timestamp() + $4::interval
where agent_id = $1 and holder = $2 and epoch = $3
returning epoch;

-- renew_leases: those of $1 that the holder $2 has under their epochs $3
update leases l set expires_at = clock_timestamp() + $4::interval
from unnest($1::uuid[], $3::bigint[]) as x(agent_id, epoch)
where l.agent_id = x.agent_id and l.holder = $2 and l.epoch = x.epoch
returning l.agent_id, l.epoch;

-- raise_epoch: the new epoch; no row when another holder has it
with raised as (
  update leases set epoch = epoch + 1, expires_at = clock_timestamp() + $4::interval
  where agent_id = $1 and holder = $2 and epoch = $3
  returning epoch
),
fenced as (
  update heads h set epoch = raised.epoch from raised where h.agent_id = $1
  returning h.epoch
)
select epoch from fenced;

-- release_lease: nothing; the next holder need not wait
update leases set holder = null, expires_at = clock_timestamp()
where agent_id = $1 and holder = $2 and epoch = $3;

-- release_leases: nothing; as release_lease, of each of $1 under its epoch $3
update leases l set holder = null, expires_at = clock_timestamp()
from unnest($1::uuid[], $3::bigint[]) as x(agent_id, epoch)
where l.agent_id = x.agent_id and l.holder = $2 and l.epoch = x.epoch;

-- attributed: signed quantity by strategy and symbol, of all trades
select strategy_id, symbol, sum(case side when 'buy' then quantity else -quantity end) as quantity
from trades
where agent_id = $1
group by strategy_id, symbol;

-- clock: the server's time at this very moment
select clock_timestamp();
