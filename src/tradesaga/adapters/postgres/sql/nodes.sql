-- announce: nothing; the process $1 lives
insert into nodes as n (id, url, release, code, configuration, seen_at)
values ($1, $2, $3, $4, $5, clock_timestamp())
on conflict (id) do update set url = excluded.url, seen_at = excluded.seen_at;

-- nodes: who was seen within $1, with the agents that each holds; the eldest first
select n.id, n.url, n.release, n.code, n.configuration, n.started_at,
  array(select l.agent_id from leases l
    where l.holder = n.id and l.expires_at > clock_timestamp() order by l.agent_id) as leads
from nodes n
where n.seen_at > clock_timestamp() - $1::interval
order by n.started_at, n.id;

-- leave: nothing; the process $1, and everybody not seen for a day, are taken off
delete from nodes where id = $1 or seen_at < clock_timestamp() - interval '1 day';

-- leader: who holds the agent $1, and where its API answers
select coalesce(n.url, '') as url, l.epoch, l.taken_at as since
from leases l left join nodes n on n.id = l.holder
where l.agent_id = $1 and l.holder is not null;
