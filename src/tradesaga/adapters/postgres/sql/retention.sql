-- trades: archives ended sagas with their orders and reservations
with held as (
  select agent_id from heads where agent_id = $1 and epoch = $2 for key share
),
due as (
  select s.id from only sagas s join held using (agent_id)
  where s.created_at < $3 and s.updated_at < $3
    and s.status in ('completed', 'completed_partial', 'compensated')
  order by s.created_at, s.id limit $4 for update of s skip locked
),
-- all columns, whatever they are: the archive has them in the same order
old_sagas as (delete from only sagas t using due where t.id = due.id returning t.*),
old_orders as (delete from only orders t using due where t.saga_id = due.id returning t.*),
old_ids as (
  delete from only venue_order_ids t using old_orders o
  where t.agent_id = o.agent_id and t.venue_order_id = o.venue_order_id returning t.*
),
old_reservations as (
  delete from only reservations t using due where t.saga_id = due.id returning t.*
),
new_sagas as (insert into archived_sagas select * from old_sagas returning 1),
new_orders as (insert into archived_orders select * from old_orders returning 1),
new_ids as (insert into archived_venue_order_ids select * from old_ids returning 1),
new_reservations as (insert into archived_reservations select * from old_reservations returning 1)
select exists (select from held) as held,
  (select count(*) from new_sagas) as sagas,
  (select count(*) from new_orders) as orders,
  (select count(*) from new_ids) as venue_order_ids,
  (select count(*) from new_reservations) as reservations;

-- fills: archives fills and their trades, once their saga is in the archive
with held as (
  select agent_id from heads where agent_id = $1 and epoch = $2 for key share
),
due as (
  select f.id from only fills f join held using (agent_id)
  where f.recorded_at < $3 and not exists (select from only sagas s where s.id = f.saga_id)
  limit $4 for update of f skip locked
),
old_fills as (delete from only fills t using due where t.id = due.id returning t.*),
old_trades as (delete from only trades t using due where t.fill_id = due.id returning t.*),
new_fills as (insert into archived_fills select * from old_fills returning 1),
new_trades as (insert into archived_trades select * from old_trades returning 1)
select exists (select from held) as held,
  (select count(*) from new_fills) as fills,
  (select count(*) from new_trades) as trades;

-- decisions: archives decisions, those of a saga after the saga
with held as (
  select agent_id from heads where agent_id = $1 and epoch = $2 for key share
),
due as (
  select d.id from only decisions d join held using (agent_id)
  where d.created_at < $3 and not exists (
    select from only sagas s where s.agent_id = d.agent_id and s.decision_id = d.id
  )
  limit $4 for update of d skip locked
),
old_decisions as (delete from only decisions t using due where t.id = due.id returning t.*),
new_decisions as (insert into archived_decisions select * from old_decisions returning 1)
select exists (select from held) as held, (select count(*) from new_decisions) as decisions;

-- cycles: archives cycles that have ended, with their log lines
with held as (
  select agent_id from heads where agent_id = $1 and epoch = $2 for key share
),
due as (
  select c.id from only cycles c join held using (agent_id)
  where c.started_at < $3 and c.completed_at < $3 and c.status <> 'started'
  order by c.started_at limit $4 for update of c skip locked
),
old_logs as (delete from only cycle_logs t using due where t.cycle_id = due.id returning t.*),
old_cycles as (delete from only cycles t using due where t.id = due.id returning t.*),
new_logs as (insert into archived_cycle_logs select * from old_logs returning 1),
new_cycles as (insert into archived_cycles select * from old_cycles returning 1)
select exists (select from held) as held,
  (select count(*) from new_cycles) as cycles,
  (select count(*) from new_logs) as cycle_logs;

-- inbox: archives the ids of events; the archive is asked about duplicates, too
with held as (
  select agent_id from heads where agent_id = $1 and epoch = $2 for key share
),
due as (
  select i.event_id from only inbox i join held using (agent_id)
  where i.received_at < $3 limit $4 for update of i skip locked
),
old_inbox as (
  delete from only inbox t using due
  where t.agent_id = $1 and t.event_id = due.event_id returning t.*
),
new_inbox as (insert into archived_inbox select * from old_inbox returning 1)
select exists (select from held) as held, (select count(*) from new_inbox) as inbox;

-- dead_letters: archives messages that nobody could read
with held as (
  select agent_id from heads where agent_id = $1 and epoch = $2 for key share
),
due as (
  select d.id from only dead_letters d join held using (agent_id)
  where d.received_at < $3 limit $4 for update of d skip locked
),
old_letters as (delete from only dead_letters t using due where t.id = due.id returning t.*),
new_letters as (insert into archived_dead_letters select * from old_letters returning 1)
select exists (select from held) as held, (select count(*) from new_letters) as dead_letters;

-- repeats: deletes the keys of commands that were taken long ago
with held as (
  select agent_id from heads where agent_id = $1 and epoch = $2 for key share
),
due as (
  select k.id from kept_answers k join held using (agent_id)
  where k.taken_at < $3 limit $4 for update of k skip locked
),
gone as (delete from kept_answers t using due where t.id = due.id returning 1)
select exists (select from held) as held, (select count(*) from gone) as kept_answers;

-- relay_marks: thins old marks out to the last of each day; never the newest
with held as (
  select agent_id from heads where agent_id = $1 and epoch = $2 for key share
),
due as (
  select m.seq from relay_marks m join held using (agent_id)
  where m.at < $3 and exists (
    select from relay_marks n
    where n.agent_id = m.agent_id and n.seq > m.seq
      and n.seq = (
        select min(l.seq) from relay_marks l where l.agent_id = m.agent_id and l.seq > m.seq
      )
      and date_trunc('day', n.at, 'UTC') = date_trunc('day', m.at, 'UTC')
  )
  order by m.seq limit $4 for update of m skip locked
),
gone as (
  delete from relay_marks t using due where t.agent_id = $1 and t.seq = due.seq returning 1
)
select exists (select from held) as held, (select count(*) from gone) as relay_marks;

-- sizes: what the tables hold and take, working rows and archive apart; rows as last estimated
select c.relname as name, coalesce(pg_stat_get_live_tuples(c.oid), 0) as rows,
  pg_total_relation_size(c.oid) as bytes,
  coalesce(pg_stat_get_live_tuples(a.oid), 0) as archived_rows,
  coalesce(pg_total_relation_size(a.oid), 0) as archived_bytes
from pg_class c
  left join pg_class a on a.relnamespace = c.relnamespace and a.relname = 'archived_' || c.relname
where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
  and (a.oid is not null or c.relname in ('relay_marks', 'journal_log'))
order by c.relname;
