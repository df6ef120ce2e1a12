-- latest_trades: saga, order and reservation, the latest first, narrowed where a parameter is not null
select {trade}
from sagas s join orders o on o.saga_id = s.id join reservations r on r.saga_id = s.id
where s.agent_id = $1
  and ($2::text[] is null or s.status = any ($2))
  and ($3::text[] is null or o.status = any ($3))
  and ($4::text is null or s.symbol = $4)
  and (s.created_at, s.id) < ($5::timestamptz, $6::uuid)
order by s.created_at desc, s.id desc
limit $7;

-- trades_of_cycle: saga, order and reservation; by way of its decisions, which are indexed
select {trade}
from decisions d
  join sagas s on s.agent_id = d.agent_id and s.decision_id = d.id
  join orders o on o.saga_id = s.id join reservations r on r.saga_id = s.id
where d.agent_id = $1 and d.cycle_id = $2;

-- trade_of_saga: saga, order and reservation of one saga
select {trade}
from sagas s join orders o on o.saga_id = s.id join reservations r on r.saga_id = s.id
where s.agent_id = $1 and s.id = $2;

-- fills_of_saga: as they were booked; a fill is booked at or after the making of its saga ($3)
select id, agent_id, order_id, saga_id, venue_fill_id, symbol, side, quantity, price, fee,
  filled_at, recorded_at
from fills
where agent_id = $1 and saga_id = $2 and recorded_at >= $3
order by recorded_at, venue_fill_id;

-- log_of_saga: all entries about a saga, which lie within its time ($3 to $4)
select seq, kind, actor, at, epoch, body::json
from journal_log
where agent_id = $1 and subject = $2 and at between $3 and $4
order by seq;

-- external_orders: orders that are not ours, the latest seen first; $2 to $4 narrow, or are null
select id, agent_id, venue_order_id, client_order_id, symbol, side, quantity, filled_quantity,
  type, limit_price, decision_id, kind, state, placed_at, seen_at, updated_at, ended_at, warned_at,
  version
from external_orders
where agent_id = $1 and ($2::text is null or venue_order_id = $2)
  and ($3::text is null or state = $3) and ($4::text is null or symbol = $4)
  and (seen_at, id) < ($5::timestamptz, $6::uuid)
order by seen_at desc, id desc
limit $7;
