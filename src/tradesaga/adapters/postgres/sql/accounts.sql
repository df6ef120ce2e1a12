-- accounts: all agents that were ever made, in order of creation; $1 is the default one
select id, agent_id, name, trading_engine, created_at, created_by, retired_at, version
from accounts where agent_id = $1 order by created_at, id;

-- stamp: another one whenever an agent was made or retired
select count(*), coalesce(sum(version), 0)::bigint from accounts where agent_id = $1;

-- standing: status, node and open sagas of each of $1 that was ever driven
select s.id, s.status, coalesce(n.url, '') as url,
  (select count(*) from sagas g where g.agent_id = s.id
    and g.status not in ('completed', 'completed_partial', 'compensated')) as sagas
from agent_status s
left join leases l on l.agent_id = s.id and l.expires_at > clock_timestamp()
left join nodes n on n.id = l.holder
where s.id = any ($1::uuid[]);
