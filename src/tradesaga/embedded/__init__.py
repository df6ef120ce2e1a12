"""Postgres and NATS JetStream from wheels, and the supervisor that keeps them alive.

    fence        a lock that children inherit
    identity     the unprivileged user under root
    processes    one child: take over, spawn through a shim, wait without a thread, stop
    probes       does it answer?
    failures     what is raised
    state        the state directory: default place, private files, kept ports, log rotation
    binaries     which Postgres and NATS to run, and hard links where their user cannot reach them
    postgres  nats  program      the three kinds of service
    supervisor   starts them in stages, restarts what dies or hangs, stops them in reverse order

Nothing of a former life survives a start, nothing started here survives its supervisor.
"""
