-- last_sent: the last mark of the relay
select seq, stream_seq, at from relay_marks where agent_id = $1 order by seq desc limit 1;

-- stream_known: when the stream of the latest comparison was made
select created from relay_streams where agent_id = $1;

-- remember_stream: nothing; keeps when the stream was made
insert into relay_streams (agent_id, created) values ($1, $2)
on conflict (agent_id) do update set created = excluded.created
where relay_streams.created <> excluded.created;

-- kept_up_to: the last row marked under that number of the stream or a lower one
select coalesce(max(seq), 0) from relay_marks where agent_id = $1 and stream_seq <= $2;

-- sent_before: the last row marked before a moment
select coalesce(max(seq), 0) from relay_marks where agent_id = $1 and at < $2;

-- mark_again: nothing; a marked row stands under another number now
update relay_marks set stream_seq = $3 where agent_id = $1 and seq = $2;
