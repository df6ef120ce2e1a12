-- migrate:up
-- One call writes one batch of the journal. State rows come as JSON arrays of objects whose keys
-- are column names, log rows as arrays; `counts` holds the length of each JSON array, in the order
-- of the parameters. What is refused is named in the error's detail as [[table, key], ...].
--   TS001  an epoch or a sequence moved on: another writer has the agent (detail: agent ids)
--   TS002  a stored version is not the one before, or a key exists (detail: rows)
-- `(agent_id = ...) is true` cannot use an index: the planner, who knows little of a young table,
-- would take one that begins with agent_id and read all the agent's rows for each update.

create function orchestration.refuse(name text, given json, told text default null) returns void
language plpgsql as $$
declare culprits json;
begin
  -- what this transaction has not written itself is what stood in the way
  execute format(
    'select json_agg(json_build_array(%L, x.id)) from json_to_recordset($1) as x(id uuid)'
    ' left join orchestration.%I t on t.id = x.id'
    ' where t.id is null or t.xmin <> pg_current_xact_id()::xid', coalesce(told, name), name)
  into culprits using given;
  raise exception 'rows of % moved on or exist', name using errcode = 'TS002', detail = culprits;
end $$;

create function orchestration.apply_heads(
  agents uuid[], epochs bigint[], prevs bigint[], seqs bigint[], hashes bytea[]
) returns void
language plpgsql as $$
declare written bigint;
begin
  -- fence, gapless sequence and order of batches in one update; the lock lasts until the commit
  with swapped as (
    update orchestration.heads h set prev = h.seq, seq = x.seq, hash = x.hash
    from unnest(agents, epochs, prevs, seqs, hashes) as x(agent_id, epoch, prev, seq, hash)
    where h.agent_id = x.agent_id and h.epoch = x.epoch
    returning h.prev = x.prev as in_order
  )
  select count(*) filter (where in_order) into written from swapped;
  if written <> cardinality(agents) then
    raise exception 'another writer has the agent' using errcode = 'TS001';
  end if;
end $$;

create function orchestration.apply_agents(
  counts integer[], agent_new json, agent_set json, counts_add json,
  strategy_new json, strategy_set json, cycle_new json, cycle_set json, cycle_log json
) returns void
language plpgsql as $$
declare written bigint;
begin
  if counts[1] > 0 then
    insert into orchestration.agents (id, name, created_at)
    select id, name, updated_at
    from json_to_recordset(agent_new) as x(id uuid, name text, updated_at timestamptz)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[1] then
      perform orchestration.refuse('agents', agent_new, 'agent_status');
    end if;
    insert into orchestration.agent_status (id, status, mode, pause_reasons, started_at,
      stopped_at, paused_at, resume_at, last_error, last_error_at, updated_at, version)
    select id, status, mode, pause_reasons, started_at,
      stopped_at, paused_at, resume_at, last_error, last_error_at, updated_at, version
    from json_populate_recordset(null::orchestration.agent_status, agent_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[1] then perform orchestration.refuse('agent_status', agent_new); end if;
  end if;
  if counts[2] > 0 then
    update orchestration.agent_status t set status = x.status, mode = x.mode,
      pause_reasons = x.pause_reasons, started_at = x.started_at, stopped_at = x.stopped_at,
      paused_at = x.paused_at, resume_at = x.resume_at, last_error = x.last_error,
      last_error_at = x.last_error_at, updated_at = x.updated_at, version = x.version
    from json_populate_recordset(null::orchestration.agent_status, agent_set) as x
    where t.id = x.id and t.version = x.version - 1;
    get diagnostics written = row_count;
    if written <> counts[2] then perform orchestration.refuse('agent_status', agent_set); end if;
    update orchestration.agents t set name = x.name
    from json_to_recordset(agent_set) as x(id uuid, name text)
    where t.id = x.id and t.name <> x.name;
  end if;
  if counts[3] > 0 then
    update orchestration.agent_status t set
      cycles_completed = coalesce(t.cycles_completed, 0) + x.cycles_completed,
      decisions_generated = coalesce(t.decisions_generated, 0) + x.decisions_generated,
      orders_executed = coalesce(t.orders_executed, 0) + x.orders_executed,
      errors_count = coalesce(t.errors_count, 0) + x.errors_count
    from (
      select agent_id, sum(cycles_completed) as cycles_completed,
        sum(decisions_generated) as decisions_generated,
        sum(orders_executed) as orders_executed, sum(errors_count) as errors_count
      from json_to_recordset(counts_add) as r(agent_id uuid, cycles_completed integer,
        decisions_generated integer, orders_executed integer, errors_count integer)
      group by agent_id
    ) x
    where t.id = x.agent_id;
    get diagnostics written = row_count;
    if written <> (
      select count(distinct agent_id) from json_to_recordset(counts_add) as r(agent_id uuid)
    ) then
      raise exception 'counts of an unknown agent' using errcode = 'foreign_key_violation';
    end if;
  end if;
  if counts[4] > 0 then
    insert into orchestration.strategies (id, agent_id, external_id, name, type, symbols,
      created_at, updated_at, status, risk_mode, parameters, priority, last_run_at, version)
    select id, agent_id, external_id, name, type, symbols, created_at, updated_at, status,
      risk_mode, parameters, priority, last_run_at, version
    from json_populate_recordset(null::orchestration.strategies, strategy_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[4] then perform orchestration.refuse('strategies', strategy_new); end if;
  end if;
  if counts[5] > 0 then
    update orchestration.strategies t set name = x.name, type = x.type, symbols = x.symbols,
      updated_at = x.updated_at, status = x.status, risk_mode = x.risk_mode,
      parameters = x.parameters, priority = x.priority, last_run_at = x.last_run_at,
      version = x.version
    from json_populate_recordset(null::orchestration.strategies, strategy_set) as x
    where t.id = x.id and (t.agent_id = x.agent_id) is true and t.version = x.version - 1;
    get diagnostics written = row_count;
    if written <> counts[5] then perform orchestration.refuse('strategies', strategy_set); end if;
  end if;
  if counts[6] > 0 then
    insert into orchestration.cycles (id, agent_id, type, triggered_by, scheduled_at, started_at,
      epoch, status, cursor, completed_at, duration_ms, strategies_processed,
      decisions_generated, orders_submitted, orders_filled, errors, metadata, version)
    select id, agent_id, type, triggered_by, scheduled_at, started_at,
      epoch, status, cursor, completed_at, extract(epoch from completed_at - started_at) * 1000,
      strategies_processed, decisions_generated, orders_submitted, orders_filled, errors,
      metadata, version
    from json_populate_recordset(null::orchestration.cycles, cycle_new)
    on conflict do nothing;
    get diagnostics written = row_count;
    if written <> counts[6] then perform orchestration.refuse('cycles', cycle_new); end if;
  end if;
  if counts[7] > 0 then
    update orchestration.cycles t set status = x.status, cursor = x.cursor,
      completed_at = x.completed_at,
      duration_ms = extract(epoch from x.completed_at - t.started_at) * 1000,
      strategies_processed = x.strategies_processed, decisions_generated = x.decisions_generated,
      orders_submitted = x.orders_submitted, orders_filled = x.orders_filled, errors = x.errors,
      metadata = x.metadata, version = x.version
    from json_populate_recordset(null::orchestration.cycles, cycle_set) as x
    where t.id = x.id and (t.agent_id = x.agent_id) is true and t.version = x.version - 1;
    get diagnostics written = row_count;
    if written <> counts[7] then perform orchestration.refuse('cycles', cycle_set); end if;
  end if;
  if counts[8] > 0 then
    insert into orchestration.cycle_logs (agent_id, cycle_id, level, message, context, timestamp)
    select agent_id, cycle_id, level, message, context, timestamp
    from json_populate_recordset(null::orchestration.cycle_logs, cycle_log);
  end if;
end $$;

create function orchestration.apply_trades(
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
      expires_at, created_at, verdict, opening, denials)
    select id, external_id, agent_id, cycle_id, strategy_id, symbol, action, confidence,
      quantity, reference_price, reasoning, model, as_of, expires_at, created_at, verdict,
      opening, denials
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

create function orchestration.apply(
  agents uuid[], epochs bigint[], prevs bigint[], seqs bigint[], hashes bytea[],
  counts integer[], agent_new json, agent_set json, counts_add json, strategy_new json,
  strategy_set json, cycle_new json, cycle_set json, cycle_log json, decision_new json,
  saga_new json, saga_set json, order_new json, order_set json, venue_id json,
  reservation_new json, reservation_set json, fill_new json, trade_new json, position_add json,
  inbox_new json, dead_letter json,
  log_agent uuid[], log_seq bigint[], log_at timestamptz[], log_epoch bigint[], log_kind text[],
  log_subject text[], log_actor text[], log_body text[], log_event_type text[],
  log_event_id uuid[], log_event_payload text[], log_correlation_id text[],
  log_causation_id text[], log_hash bytea[]
) returns void
language plpgsql as $$
begin
  perform orchestration.apply_heads(agents, epochs, prevs, seqs, hashes);
  if 0 < any (counts[1:8]) then
    perform orchestration.apply_agents(counts, agent_new, agent_set, counts_add, strategy_new,
      strategy_set, cycle_new, cycle_set, cycle_log);
  end if;
  if 0 < any (counts[9:21]) then
    perform orchestration.apply_trades(counts, decision_new, saga_new, saga_set, order_new,
      order_set, venue_id, reservation_new, reservation_set, fill_new, trade_new, position_add,
      inbox_new, dead_letter);
  end if;
  insert into orchestration.journal_log (agent_id, seq, at, epoch, kind, subject, actor, body,
    event_type, event_id, event_payload, correlation_id, causation_id, hash)
  select * from unnest(log_agent, log_seq, log_at, log_epoch, log_kind, log_subject, log_actor,
    log_body, log_event_type, log_event_id, log_event_payload, log_correlation_id,
    log_causation_id, log_hash);
end $$;

-- migrate:down
-- forward only: restore a backup instead
