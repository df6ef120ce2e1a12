-- migrate:up
-- The log of a batch comes as JSON rows like everything else: the driver looks at each element of an
-- array by itself, fourteen times a row. `hash` is hexadecimal here.

drop function orchestration.apply(
  uuid[], bigint[], bigint[], bigint[], bytea[], integer[],
  json, json, json, json, json, json, json, json, json, json, json, json, json, json, json, json,
  json, json, json, json, json,
  uuid[], bigint[], timestamptz[], bigint[], text[], text[], text[], text[], text[], uuid[],
  text[], text[], text[], bytea[]
);

create function orchestration.apply(
  agents uuid[], epochs bigint[], prevs bigint[], seqs bigint[], hashes bytea[],
  counts integer[], agent_new json, agent_set json, counts_add json, rare_new json,
  rare_set json, cycle_new json, cycle_set json, cycle_log json, decision_new json,
  saga_new json, saga_set json, order_new json, order_set json, venue_id json,
  reservation_new json, reservation_set json, fill_new json, trade_new json, position_add json,
  inbox_new json, dead_letter json, log json
) returns void
language plpgsql as $$
begin
  perform orchestration.apply_heads(agents, epochs, prevs, seqs, hashes);
  if 0 < any (counts[1:8]) then
    perform orchestration.apply_agents(counts, agent_new, agent_set, counts_add, rare_new,
      rare_set, cycle_new, cycle_set, cycle_log);
  end if;
  if 0 < any (counts[9:21]) then
    perform orchestration.apply_trades(counts, decision_new, saga_new, saga_set, order_new,
      order_set, venue_id, reservation_new, reservation_set, fill_new, trade_new, position_add,
      inbox_new, dead_letter);
  end if;
  insert into orchestration.journal_log (agent_id, seq, at, epoch, kind, subject, actor, body,
    event_type, event_id, event_payload, correlation_id, causation_id, hash)
  select agent_id, seq, at, epoch, kind, subject, actor, body, event_type, event_id,
    event_payload, correlation_id, causation_id, decode(hash, 'hex')
  from json_to_recordset(log) as x(agent_id uuid, seq bigint, at timestamptz, epoch bigint,
    kind text, subject text, actor text, body text, event_type text, event_id uuid,
    event_payload text, correlation_id text, causation_id text, hash text);
end $$;

-- migrate:down
-- forward only: restore a backup instead
