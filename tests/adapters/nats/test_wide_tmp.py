from tests.adapters.nats.conftest import *
from tradesaga.adapters.nats.bus import NatsBus
async def test_wide(nats_url, nats_token, subject_prefix):
    p=subject_prefix
    bus=NatsBus(url=nats_url,token=nats_token,clock=SystemClock(),publish_prefix=f"{p}.orchestrator",subscriptions=[f"{p}.trade.>", f"{p}.>"],limits=SMALL)
    async with connected(nats_url,nats_token) as c:
        async with running(bus):
            w=World(bus,c,p)
            await w.publish("trade.order.filled", nested("x.y","e1"))
            await w.publish("ai.q.z", nested("x.y","e2"))
            got={d.incoming.event_id for d in await w.take(2)}
            assert got=={"e1","e2"}
        await remove_streams(c,p)
