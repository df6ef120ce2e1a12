-- migrate:up
-- What every risk rule said of a decision, with its figures: written once, with the decision.

alter table orchestration.decisions add column rules json not null default '{}';

create or replace function orchestration.apply_trades(
  counts integer[], decision_new json, saga_new json, saga_set json, order_new json,
  order_set json, venue_id json, reservation_new json, reservation_set json, fill_new json,
  trade_new json, position_add json, inbox_new json, dead_letter json
) returns void
language plpgsql as $$
declare written bigint; culprits json;
begin
  if counts[9] > 0 then
    insert into orchestration.decisions (id, external_id, agent_id, cycle_id, strategy_id,
      symbol, action, confidence, quantity, reference_price, reasoning, model, as_of,
      expires_at, created_at, verdict, opening, denials, rules)
    select id, external_id, agent_id, cycle_id, strategy_id, symbol, action, confidence,
      quantity, reference_price, reasoning, model, as_of, expires_at, created_at, verdict,
      opening, denials, rules
    from json_populate_recordset(null::orchestration.decisions, decision_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[9] then perform orchestration.refuse('decisions', decision_new); end if;
  end if;
  if counts[10] > 0 then
    insert into orchestration.sagas (id, agent_id, type, decision_id, strategy_id, cycle_id,
      symbol, created_at, updated_at, deadline_at, status, cursor, attempt, due, pivoted,
      partial, reason, version)
    select id, agent_id, type, decision_id, strategy_id, cycle_id, symbol, created_at,
      updated_at, deadline_at, status, cursor, attempt, due, pivoted, partial, reason, version
    from json_populate_recordset(null::orchestration.sagas, saga_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[10] then perform orchestration.refuse('sagas', saga_new); end if;
  end if;
  if counts[11] > 0 then
    update orchestration.sagas t set updated_at = x.updated_at, status = x.status,
      cursor = x.cursor, attempt = x.attempt, due = x.due, pivoted = x.pivoted,
      partial = x.partial, reason = x.reason, version = x.version
    from json_to_recordset(saga_set) as x(id uuid, agent_id uuid, updated_at timestamptz,
      status text, cursor integer, attempt integer, due timestamptz, pivoted boolean,
      partial boolean, reason text, version bigint)
    where t.id = x.id and (t.agent_id = x.agent_id) is true and t.version = x.version - 1;
    get diagnostics written = row_count;
    if written <> counts[11] then perform orchestration.refuse('sagas', saga_set); end if;
  end if;
  if counts[12] > 0 then
    insert into orchestration.orders (id, agent_id, saga_id, decision_id, strategy_id, cycle_id,
      leg, purpose, client_order_id, symbol, side, quantity, type, limit_price, time_in_force,
      opening, reference_price, expires_at, created_at, status, venue_order_id, filled_quantity,
      filled_value, fees, sends, lookups, unknown_since, cancel_wanted_at, cancel_requested_at,
      submitted_at, acked_at, ended_at, evidence, version)
    select id, agent_id, saga_id, decision_id, strategy_id, cycle_id, leg, purpose,
      client_order_id, symbol, side, quantity, type, limit_price, time_in_force, opening,
      reference_price, expires_at, created_at, status, venue_order_id, filled_quantity,
      filled_value, fees, sends, lookups, unknown_since, cancel_wanted_at, cancel_requested_at,
      submitted_at, acked_at, ended_at, evidence, version
    from json_populate_recordset(null::orchestration.orders, order_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[12] then perform orchestration.refuse('orders', order_new); end if;
  end if;
  if counts[13] > 0 then
    update orchestration.orders t set status = x.status, venue_order_id = x.venue_order_id,
      filled_quantity = x.filled_quantity, filled_value = x.filled_value, fees = x.fees,
      sends = x.sends, lookups = x.lookups, unknown_since = x.unknown_since,
      cancel_wanted_at = x.cancel_wanted_at, cancel_requested_at = x.cancel_requested_at,
      submitted_at = x.submitted_at, acked_at = x.acked_at, ended_at = x.ended_at,
      evidence = x.evidence, version = x.version
    from json_to_recordset(order_set) as x(id uuid, agent_id uuid, status text,
      venue_order_id text, filled_quantity numeric, filled_value numeric, fees numeric,
      sends integer, lookups integer, unknown_since timestamptz, cancel_wanted_at timestamptz,
      cancel_requested_at timestamptz, submitted_at timestamptz, acked_at timestamptz,
      ended_at timestamptz, evidence text, version bigint)
    where t.id = x.id and (t.agent_id = x.agent_id) is true and t.version = x.version - 1;
    get diagnostics written = row_count;
    if written <> counts[13] then perform orchestration.refuse('orders', order_set); end if;
  end if;
  if counts[14] > 0 then
    insert into orchestration.venue_order_ids (agent_id, venue_order_id, order_id)
    select agent_id, venue_order_id, order_id
    from json_populate_recordset(null::orchestration.venue_order_ids, venue_id)
    on conflict do nothing;
  end if;
  if counts[15] > 0 then
    insert into orchestration.reservations (id, agent_id, saga_id, symbol, amount, created_at,
      consumed, released, state, closed_at, version)
    select id, agent_id, saga_id, symbol, amount, created_at, consumed, released, state,
      closed_at, version
    from json_populate_recordset(null::orchestration.reservations, reservation_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[15] then
      perform orchestration.refuse('reservations', reservation_new);
    end if;
  end if;
  if counts[16] > 0 then
    update orchestration.reservations t set consumed = x.consumed, released = x.released,
      state = x.state, closed_at = x.closed_at, version = x.version
    from json_to_recordset(reservation_set) as x(id uuid, agent_id uuid, consumed numeric,
      released numeric, state text, closed_at timestamptz, version bigint)
    where t.id = x.id and (t.agent_id = x.agent_id) is true and t.version = x.version - 1;
    get diagnostics written = row_count;
    if written <> counts[16] then
      perform orchestration.refuse('reservations', reservation_set);
    end if;
  end if;
  if counts[17] > 0 then
    insert into orchestration.fills (id, agent_id, order_id, saga_id, venue_fill_id, symbol,
      side, quantity, price, fee, filled_at, recorded_at)
    select id, agent_id, order_id, saga_id, venue_fill_id, symbol, side, quantity, price, fee,
      filled_at, recorded_at
    from json_populate_recordset(null::orchestration.fills, fill_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[17] then perform orchestration.refuse('fills', fill_new); end if;
  end if;
  if counts[18] > 0 then
    insert into orchestration.trades (id, agent_id, fill_id, order_id, saga_id, decision_id,
      strategy_id, symbol, side, quantity, price, fee, executed_at, correction_reason)
    select id, agent_id, fill_id, order_id, saga_id, decision_id, strategy_id, symbol, side,
      quantity, price, fee, executed_at, correction_reason
    from json_populate_recordset(null::orchestration.trades, trade_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[18] then perform orchestration.refuse('trades', trade_new); end if;
  end if;
  if counts[19] > 0 then
    insert into orchestration.positions as t (agent_id, symbol, quantity, bought_quantity,
      bought_value, sold_quantity, sold_value, fees, updated_at)
    select agent_id, symbol, sum(quantity), sum(bought_quantity), sum(bought_value),
      sum(sold_quantity), sum(sold_value), sum(fees), max(at)
    from json_to_recordset(position_add) as x(agent_id uuid, symbol text, quantity numeric,
      bought_quantity numeric, bought_value numeric, sold_quantity numeric, sold_value numeric,
      fees numeric, at timestamptz)
    group by agent_id, symbol
    order by agent_id, symbol
    on conflict (agent_id, symbol) do update set quantity = t.quantity + excluded.quantity,
      bought_quantity = t.bought_quantity + excluded.bought_quantity,
      bought_value = t.bought_value + excluded.bought_value,
      sold_quantity = t.sold_quantity + excluded.sold_quantity,
      sold_value = t.sold_value + excluded.sold_value, fees = t.fees + excluded.fees,
      updated_at = greatest(t.updated_at, excluded.updated_at);
  end if;
  if counts[20] > 0 then
    insert into orchestration.inbox (agent_id, event_id, event_type, source, received_at)
    select agent_id, event_id, event_type, source, received_at
    from json_populate_recordset(null::orchestration.inbox, inbox_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[20] then
      select json_agg(json_build_array('inbox', x.event_id)) into culprits
      from json_populate_recordset(null::orchestration.inbox, inbox_new) as x
      left join orchestration.inbox t using (agent_id, event_id)
      where t.xmin is distinct from pg_current_xact_id()::xid;
      raise exception 'events were received before' using errcode = 'TS002', detail = culprits;
    end if;
  end if;
  if counts[21] > 0 then
    insert into orchestration.dead_letters (agent_id, subject, reason, body, received_at)
    select agent_id, subject, reason, decode(body, 'base64'), received_at
    from json_to_recordset(dead_letter) as x(agent_id uuid, subject text, reason text, body text,
      received_at timestamptz);
  end if;
end $$;

-- migrate:down
-- forward only: restore a backup instead
