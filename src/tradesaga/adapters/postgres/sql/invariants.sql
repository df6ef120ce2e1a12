-- I1_one_saga_per_decision: a decision has at most one saga of a type
select decision_id, type, count(*) as sagas from sagas where agent_id = $1
group by decision_id, type having count(*) > 1;

-- I1_one_order_per_intent: a leg and purpose of a saga has one order
select saga_id, leg, purpose, count(*) as orders from orders where agent_id = $1
group by saga_id, leg, purpose having count(*) > 1;

-- I1_one_order_per_venue_order: a client or venue order id belongs to one order
select client_order_id as order_name, count(*) as orders from orders where agent_id = $1
group by client_order_id having count(*) > 1
union all
select venue_order_id, count(*) from orders where agent_id = $1 and venue_order_id is not null
group by venue_order_id having count(*) > 1;

-- I3_evidence: an order has ended on evidence of the venue
select id, status from orders
where agent_id = $1 and (evidence is null or ended_at is null)
  and status in ('filled', 'canceled', 'rejected', 'expired', 'not_placed');

-- I4_positions: every sum of a position is that of its fills
with booked as (
  select symbol, sum(case side when 'buy' then quantity else -quantity end) as quantity,
    coalesce(sum(quantity) filter (where side = 'buy'), 0) as bought_quantity,
    coalesce(sum(quantity * price) filter (where side = 'buy'), 0) as bought_value,
    coalesce(sum(quantity) filter (where side = 'sell'), 0) as sold_quantity,
    coalesce(sum(quantity * price) filter (where side = 'sell'), 0) as sold_value,
    sum(fee) as fees
  from fills where agent_id = $1 group by symbol
)
select symbol, b.quantity as filled, p.quantity as held
from booked b full join (select * from positions where agent_id = $1) p using (symbol)
where (b.quantity, b.bought_quantity, b.bought_value, b.sold_quantity, b.sold_value, b.fees)
  is distinct from
  (p.quantity, p.bought_quantity, p.bought_value, p.sold_quantity, p.sold_value, p.fees);

-- I5_fill_once: a venue fill is booked once
select venue_fill_id, count(*) as fills from fills where agent_id = $1
group by venue_fill_id having count(*) > 1;

-- I5_order_sums: an order has filled what its fills say, never more than was ordered
select o.id, o.quantity, o.filled_quantity, sum(f.quantity) as booked
from orders o left join fills f on f.order_id = o.id
where o.agent_id = $1
group by o.id
having coalesce(sum(f.quantity), 0) <> o.filled_quantity
  or coalesce(sum(f.quantity * f.price), 0) <> o.filled_value
  or coalesce(sum(f.fee), 0) <> o.fees
  or o.filled_quantity > o.quantity;

-- I5_one_trade_per_fill: a fill has one trade, of the same amounts
select coalesce(f.id, t.fill_id) as fill_id, count(f.id) as fills, count(t.id) as trades
from (select * from fills where agent_id = $1) f
  full join (select * from trades where agent_id = $1) t on t.fill_id = f.id
group by 1
having count(f.id) <> 1 or count(t.id) <> 1
  or bool_or((f.order_id, f.symbol, f.side, f.quantity, f.price, f.fee)
    is distinct from (t.order_id, t.symbol, t.side, t.quantity, t.price, t.fee));

-- I5_known_order: a fill belongs to an order of ours and to its saga
select f.id, f.order_id from fills f left join orders o on o.id = f.order_id
where f.agent_id = $1 and (o.id is null or o.saga_id <> f.saga_id or o.symbol <> f.symbol);

-- I6_reservations: a reservation is open exactly as long as its saga
select r.id, r.state, s.status from reservations r left join sagas s on s.id = r.saga_id
where r.agent_id = $1 and (
  s.id is null
  or (r.state = 'open') = (s.status in ('completed', 'completed_partial', 'compensated'))
);

-- I6_whole_trades: a saga has an order and a reservation
select s.id, s.status from sagas s
where s.agent_id = $1 and (
  not exists (select from orders o where o.saga_id = s.id)
  or not exists (select from reservations r where r.saga_id = s.id)
);

-- I7_exact_columns: no column holds a binary fraction or a time without a zone
select table_name, column_name, data_type from information_schema.columns
where table_schema = current_schema() and $1::uuid is not null
  and data_type in ('real', 'double precision', 'timestamp without time zone', 'money');

-- I7_consumed: a reservation has consumed what the bought fills of its saga cost
select r.id, r.consumed, sum(f.quantity * f.price + f.fee) as cost
from reservations r left join fills f on f.saga_id = r.saga_id and f.side = 'buy'
where r.agent_id = $1
group by r.id
having r.consumed <> coalesce(sum(f.quantity * f.price + f.fee), 0);

-- I8_steps: the steps of a saga follow from one another, along legal edges, to where it stands
with steps as (
  select subject, seq, step ->> 'from' as source, step ->> 'to' as target,
    lag(step ->> 'to', 1, 'pending') over told as before, lead(seq) over told as next
  from journal_log l, lateral (
    select 0 as place, l.body::json as step where l.kind = 'saga.step'
    union all
    select place, step from json_array_elements(l.body::json -> 'steps') with ordinality
      as e(step, place) where l.kind = 'saga.steps'
  ) s
  where agent_id = $1 and kind in ('saga.step', 'saga.steps')
  window told as (partition by subject order by seq, place)
),
legal(source, target) as (values
  ('pending', 'running'), ('running', 'running'), ('running', 'completed'),
  ('running', 'completed_partial'), ('running', 'compensating'), ('running', 'manual_required'),
  ('compensating', 'compensating'), ('compensating', 'compensated'), ('compensating', 'running'),
  ('compensating', 'manual_required'), ('manual_required', 'manual_required'),
  ('manual_required', 'running'), ('manual_required', 'compensating'),
  ('compensated', 'compensating')  -- what was proven absent is there after all
)
select t.subject, t.seq, t.before, t.source, t.target, s.status
from steps t left join legal using (source, target) left join sagas s on s.id::text = t.subject
where legal.source is null or t.source <> t.before
  or (t.next is null and t.target is distinct from s.status);

-- I9_alerts: a saga that waits for a person has its alert
select s.id, s.reason from sagas s
where s.agent_id = $1 and s.status = 'manual_required' and not exists (
  select from journal_log l where l.agent_id = $1 and l.kind = 'alert' and l.subject = s.id::text
);

-- I9_deadlines: no saga is under way long after its deadline
select s.id, s.status, s.deadline_at from sagas s left join orders o on o.saga_id = s.id, given
where s.agent_id = $1 and s.status in ('pending', 'running', 'compensating')
  -- a cancel has its own patience: one that a person or a late appearance asked for begins later
  and greatest(s.deadline_at, o.cancel_wanted_at) < given.now - given.patience - interval '30 s' * given.pace;

-- I10_epochs: no row of the log was written under an epoch that had passed
select seq, epoch, before from (
  select seq, epoch, lag(epoch) over (order by seq) as before
  from journal_log where agent_id = $1
) l
where epoch < before or epoch > (select h.epoch from heads h where h.agent_id = $1);

-- I11_cycle_events: a cycle has its started event and, once it has ended, its completed event
with told as (
  select subject, bool_or(event_type = 'orchestrator.cycle.started') as started,
    bool_or(event_type = 'orchestrator.cycle.completed') as completed
  from journal_log
  where agent_id = $1
    and event_type in ('orchestrator.cycle.started', 'orchestrator.cycle.completed')
  group by subject
)
select c.id, c.status from cycles c left join told t on t.subject = c.id::text
where c.agent_id = $1 and (
  t.started is not true or (c.status <> 'started' and t.completed is not true)
);

-- I11_publication_order: events reached the stream in the order of the log
select seq, stream_seq, before from (
  select m.seq, m.stream_seq, lag(m.stream_seq) over (order by m.seq) as before
  from relay_marks m left join relay_streams s using (agent_id)
  where m.agent_id = $1 and m.seq >= coalesce(s.after_seq, 0) /* of the present stream */
) m
where before > stream_seq /* equal: only questions that nobody waited for, which are not sent */;

-- I11_published: an event is published within five seconds of real time
select l.seq, l.event_type, l.at from journal_log l, given
where l.agent_id = $1 and l.event_type is not null
  and l.seq > coalesce((select max(m.seq) from relay_marks m where m.agent_id = $1), 0)
  and l.at < given.now - interval '5 s' * given.pace;

-- I13_allowed: an order is what a decision says that every rule allowed
select o.id, d.verdict, d.quantity as decided, o.quantity as ordered
from orders o left join decisions d on d.id = o.decision_id
where o.agent_id = $1 and (
  d.id is null or d.verdict <> 'allowed' or json_array_length(d.denials) > 0
  or (d.symbol, d.action, d.quantity, d.opening) <> (o.symbol, o.side, o.quantity, o.opening)
);

-- I13_rate: no entry was made beyond the order rates of the present limits
select id, created_at, minute, day from (
  select o.id, o.created_at, o.opening,
    count(*) over (order by o.created_at
      range between interval '59.999999 s' preceding and current row) as minute,
    count(*) over (order by o.created_at
      range between interval '23:59:59.999999' preceding and current row) as day
  from orders o where o.agent_id = $1
) r, given
where opening and (minute > given.orders_per_minute or day > given.orders_per_day);

-- I14_nothing_after_stop: no order but a person's exit has its intent after a stop or a failure
with heard as (
  select seq, kind, subject, body::json ->> 'to' as status,
    count(*) filter (where kind like 'agent.%') over (order by seq) as span
  from journal_log
  where agent_id = $1 and (
    kind in ('agent.started', 'agent.stopped', 'agent.paused', 'agent.resumed', 'agent.failed')
    or (kind = 'saga.step' and body::json ->> 'from' = 'pending')
    or (kind = 'saga.steps' and body::json #>> '{steps,0,from}' = 'pending')
  )
),
begun as (
  select kind, case when kind like 'saga.%' then subject::uuid end as saga_id,
    first_value(status) over (partition by span order by seq) as agent
  from heard where span > 0
)
select o.id, b.agent, o.status from begun b join orders o on o.saga_id = b.saga_id
where o.agent_id = $1 and b.kind like 'saga.%' and b.agent in ('stopped', 'error')
  and o.purpose <> 'operator_exit'
  and (o.sends > 0 or o.venue_order_id is not null);

-- I14_no_entry_while_paused: no entry was sent that a cycle decided wholly within a pause
with heard as (
  select seq, kind, subject, body::json ->> 'to' as status,
    count(*) filter (where kind like 'agent.%') over (order by seq) as span
  from journal_log
  where agent_id = $1 and (
    kind in ('agent.started', 'agent.stopped', 'agent.paused', 'agent.resumed', 'agent.failed',
      'cycle.started')
    or (kind = 'saga.step' and body::json ->> 'from' = 'pending')
    or (kind = 'saga.steps' and body::json #>> '{steps,0,from}' = 'pending')
  )
),
begun as (
  select kind, span, case when kind not like 'agent.%' then subject::uuid end as id,
    first_value(status) over (partition by span order by seq) as agent
  from heard where span > 0
)
select o.id, o.cycle_id, o.status
from begun b join orders o on o.saga_id = b.id
  left join begun c on c.kind = 'cycle.started' and c.id = o.cycle_id
where o.agent_id = $1 and b.kind like 'saga.%' and b.agent = 'paused' and o.opening
  and (o.cycle_id is null or c.span = b.span)
  and (o.sends > 0 or o.venue_order_id is not null);

-- I15_no_overlap: cycles of one type do not overlap
select id, type, started_at, before from (
  select id, type, started_at, lag(coalesce(completed_at, 'infinity'))
    over (partition by type order by started_at, completed_at nulls last, id) as before
  from cycles where agent_id = $1
) c
where before > started_at;

-- I15_live_epoch: an unfinished cycle belongs to the epoch in force, or is about to end
select c.id, c.epoch, h.epoch as in_force
from cycles c left join heads h using (agent_id), given
where c.agent_id = $1 and c.status = 'started' and c.epoch is distinct from h.epoch
  -- a stop raises the epoch while a heartbeat is on its way
  and c.started_at < given.now - interval '30 s' * given.pace;

-- I16_expiry: no entry was sent whose intent is not older than the end of its decision
select id, created_at, expires_at from orders
where agent_id = $1 and opening and created_at >= expires_at
  and (sends > 0 or venue_order_id is not null);

-- I16_session: no order was sent that was made outside of a regular session
select o.id, o.created_at from orders o, given
where o.agent_id = $1 and (o.sends > 0 or o.venue_order_id is not null)
  and o.created_at <@ tstzrange(lower(given.sessions), upper(given.sessions))
  and not o.created_at <@ given.sessions;

-- I17_one_clock: decision, intent, send, answer, end and fill of an order follow one another
select o.id, o.created_at, o.submitted_at, o.acked_at, o.ended_at, d.created_at as decided_at,
  f.recorded_at as filled_at
from orders o left join decisions d on d.id = o.decision_id left join fills f on f.order_id = o.id
where o.agent_id = $1 and (
  d.created_at > o.created_at or f.recorded_at < o.created_at
  -- what the venue's clock may have told is given a second
  or least(o.submitted_at, o.acked_at, o.ended_at) < o.created_at - interval '1 s'
  or o.acked_at < o.submitted_at - interval '1 s'
);

-- I18_commanded: the agent stands as the last command left it
select s.id, s.status, l.status as commanded
from agent_status s, lateral (
  select body::json ->> 'to' as status from journal_log
  where agent_id = $1
    and kind in ('agent.started', 'agent.stopped', 'agent.paused', 'agent.resumed', 'agent.failed')
  order by seq desc limit 1
) l
where s.id = $1 and s.status is distinct from l.status;

-- I18_driven: what a saga is due to do is done within thirty seconds of real time
select s.id, s.status, s.due from sagas s, given
where s.agent_id = $1 and s.status in ('pending', 'running', 'compensating')
  and s.due < given.now - interval '30 s' * given.pace;

-- I19_counters: the agent's counters are those of the rows
select s.id, s.cycles_completed, s.decisions_generated from agent_status s
where s.id = $1 and (
  s.cycles_completed is distinct from (select count(*) from cycles c
    where c.agent_id = $1 and c.status = 'completed')
  or s.decisions_generated is distinct from (select count(*) from decisions d
    where d.agent_id = $1)
);

-- I20_one_status: an agent has one status row with a known status
select a.id, s.status from agents a left join agent_status s on s.id = a.id
where a.id = $1
  and (s.status is null or s.status not in ('running', 'stopped', 'paused', 'error'));
