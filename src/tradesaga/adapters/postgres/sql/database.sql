-- look: which database this is, by its system, its number there and its timeline, and which one
-- was noted
select format('%s/%s', c.system_identifier, d.oid) as here_system,
  ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint as here_timeline,
  m.system as noted_system, m.timeline as noted_timeline, coalesce(m.doubt, '') as doubt
from pg_control_system() c join pg_database d on d.datname = current_database()
  left join database_marks m on m.agent_id = $1;

-- note: nothing; notes it for each agent, against whom nothing speaks any more
insert into database_marks (agent_id, system, timeline)
select x.agent_id, x.system, x.timeline
from unnest($1::uuid[], $2::text[], $3::bigint[]) as x(agent_id, system, timeline)
on conflict (agent_id) do update
set system = excluded.system, timeline = excluded.timeline, doubt = '';

-- doubt: nothing; tells all agents but the one that has seen it
update database_marks set doubt = $2 where agent_id <> $1 and doubt = '';
