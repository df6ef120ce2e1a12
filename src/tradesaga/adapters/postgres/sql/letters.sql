-- letters: the latest dead letters, latest first; $2 is a state or null, $3 an id or null
select d.id, d.subject, d.reason, d.body, d.received_at,
  e.id as end_id, e.state, e.who, e.reason as end_reason, e.ended_at
from dead_letters d left join letter_ends e on e.agent_id = d.agent_id and e.letter_id = d.id
where d.agent_id = $1 and ($2::text is null or coalesce(e.state, 'open') = $2)
  and ($3::bigint is null or d.id < $3)
order by d.id desc
limit $4;

-- letter: one dead letter
select d.id, d.subject, d.reason, d.body, d.received_at,
  e.id as end_id, e.state, e.who, e.reason as end_reason, e.ended_at
from dead_letters d left join letter_ends e on e.agent_id = d.agent_id and e.letter_id = d.id
where d.agent_id = $1 and d.id = $2;
