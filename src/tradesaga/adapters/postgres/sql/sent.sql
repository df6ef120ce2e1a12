-- last_sent: the last mark of the relay
select seq, stream_seq, at from relay_marks where agent_id = $1 order by seq desc limit 1;

-- stream_known: when the stream of the latest comparison was made
select created from relay_streams where agent_id = $1;

-- remember_stream: nothing; keeps when the stream was made, and which marks are about another one
insert into relay_streams (agent_id, created) values ($1, $2)
on conflict (agent_id) do update set created = excluded.created,
  after_seq = (select coalesce(max(m.seq), 0) from relay_marks m where m.agent_id = $1)
where relay_streams.created <> excluded.created;

-- kept_up_to: the last row marked under that number of the present stream or a lower one
select coalesce(max(m.seq), 0)
from relay_marks m left join relay_streams s using (agent_id)
where m.agent_id = $1 and m.stream_seq <= $2 and m.seq >= coalesce(s.after_seq, 0);

-- sent_before: the last row marked before a moment
select coalesce(max(seq), 0) from relay_marks where agent_id = $1 and at < $2;

-- mark_again: nothing; a marked row stands under another number now, those before it under none
-- above it
update relay_marks m set stream_seq = $3
where m.agent_id = $1 and m.seq <= $2 and (m.seq = $2 or m.stream_seq > $3)
  and m.seq >= coalesce((select s.after_seq from relay_streams s where s.agent_id = $1), 0);

-- has_row: whether the log has a row with that event; also of an agent that was never here
select not exists (select from heads where agent_id = $1)
  or exists (select from journal_log where agent_id = $1 and seq = $2 and event_id = $3);
