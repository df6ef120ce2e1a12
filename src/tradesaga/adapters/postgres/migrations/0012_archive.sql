-- migrate:up
-- Where ended rows go when they are old. An archive table inherits from the working table: who asks
-- `orders` reads both, who asks `only orders` the working rows, and columns that come later come to
-- both. So nothing forgets the past by mistake, and a late fill of an archived order is booked on it
-- where it is. Indexes and unique keys are not inherited: the indexes stand here, and a key that the
-- archive holds is refused by a trigger of the working table. The log is not archived.

create table orchestration.archived_decisions () inherits (orchestration.decisions);
alter table orchestration.archived_decisions add primary key (id);
create index archived_decisions_of_cycle on orchestration.archived_decisions (cycle_id);

create table orchestration.archived_sagas () inherits (orchestration.sagas);
alter table orchestration.archived_sagas add primary key (id), add unique (agent_id, decision_id, type);
create index archived_sagas_latest on orchestration.archived_sagas (agent_id, created_at, id);
-- empty: it lets the question for open sagas pass over the archive
create index archived_sagas_open on orchestration.archived_sagas (agent_id)
  where status not in ('completed', 'completed_partial', 'compensated');

create table orchestration.archived_orders () inherits (orchestration.orders);
alter table orchestration.archived_orders add primary key (id), add unique (agent_id, client_order_id);
create index archived_orders_of_saga on orchestration.archived_orders (saga_id);
create index archived_orders_created on orchestration.archived_orders using brin (created_at);

create table orchestration.archived_venue_order_ids () inherits (orchestration.venue_order_ids);
alter table orchestration.archived_venue_order_ids add primary key (agent_id, venue_order_id);

create table orchestration.archived_reservations () inherits (orchestration.reservations);
alter table orchestration.archived_reservations add primary key (id), add unique (saga_id);

create table orchestration.archived_fills () inherits (orchestration.fills);
alter table orchestration.archived_fills add primary key (id), add unique (agent_id, venue_fill_id);
create index archived_fills_recorded on orchestration.archived_fills using brin (recorded_at);

create table orchestration.archived_trades () inherits (orchestration.trades);
alter table orchestration.archived_trades add primary key (id), add unique (fill_id);

create table orchestration.archived_cycles () inherits (orchestration.cycles);
alter table orchestration.archived_cycles add primary key (id);
create index archived_cycles_latest on orchestration.archived_cycles (agent_id, started_at desc);
create index archived_cycles_started on orchestration.archived_cycles (agent_id)
  where status = 'started';

create table orchestration.archived_cycle_logs () inherits (orchestration.cycle_logs);
alter table orchestration.archived_cycle_logs add primary key (id);
create index archived_cycle_logs_of_cycle on orchestration.archived_cycle_logs (cycle_id);

create table orchestration.archived_inbox () inherits (orchestration.inbox);
alter table orchestration.archived_inbox add primary key (agent_id, event_id);

create table orchestration.archived_dead_letters () inherits (orchestration.dead_letters);
alter table orchestration.archived_dead_letters add primary key (id);

-- A takeover changes a unique key of the head row, a batch of the journal does not: so a lock FOR KEY
-- SHARE on it holds off the one and not the other.
create unique index heads_epoch on orchestration.heads (agent_id, epoch);

-- Refused as `apply` refuses what stands in the working table: one check for a whole statement.
create function orchestration.refuse_archived(name text, culprits json) returns void
language plpgsql as $$
begin
  raise exception 'rows of % exist in the archive', name using errcode = 'TS002', detail = culprits;
end $$;

create function orchestration.once_sagas() returns trigger language plpgsql as $$
declare culprits json;
begin
  select json_agg(json_build_array('sagas', x.id)) into culprits
  from fresh x join orchestration.archived_sagas t using (agent_id, decision_id, type);
  if culprits is not null then perform orchestration.refuse_archived('sagas', culprits); end if;
  return null;
end $$;

create function orchestration.once_orders() returns trigger language plpgsql as $$
declare culprits json;
begin
  select json_agg(json_build_array('orders', x.id)) into culprits
  from fresh x join orchestration.archived_orders t using (agent_id, client_order_id);
  if culprits is not null then perform orchestration.refuse_archived('orders', culprits); end if;
  return null;
end $$;

create function orchestration.once_fills() returns trigger language plpgsql as $$
declare culprits json;
begin
  select json_agg(json_build_array('fills', x.id)) into culprits
  from fresh x join orchestration.archived_fills t using (agent_id, venue_fill_id);
  if culprits is not null then perform orchestration.refuse_archived('fills', culprits); end if;
  return null;
end $$;

create function orchestration.once_inbox() returns trigger language plpgsql as $$
declare culprits json;
begin
  select json_agg(json_build_array('inbox', x.event_id)) into culprits
  from fresh x join orchestration.archived_inbox t using (agent_id, event_id);
  if culprits is not null then perform orchestration.refuse_archived('inbox', culprits); end if;
  return null;
end $$;

-- An update of an archived order names its venue id again: what the archive knows is no news.
create function orchestration.once_venue_order_ids() returns trigger language plpgsql as $$
begin
  delete from only orchestration.venue_order_ids t
  using fresh x, orchestration.archived_venue_order_ids a
  where t.agent_id = x.agent_id and t.venue_order_id = x.venue_order_id
    and a.agent_id = x.agent_id and a.venue_order_id = x.venue_order_id;
  return null;
end $$;

create trigger once after insert on orchestration.sagas referencing new table as fresh
  for each statement execute function orchestration.once_sagas();
create trigger once after insert on orchestration.orders referencing new table as fresh
  for each statement execute function orchestration.once_orders();
create trigger once after insert on orchestration.fills referencing new table as fresh
  for each statement execute function orchestration.once_fills();
create trigger once after insert on orchestration.venue_order_ids referencing new table as fresh
  for each statement execute function orchestration.once_venue_order_ids();
create trigger once after insert on orchestration.inbox referencing new table as fresh
  for each statement execute function orchestration.once_inbox();

-- migrate:down
-- forward only: restore a backup instead
