"""Real servers for tests and for trying things out: each on its own port and in its own folder, stopped by its pid.

process     one server process: started, awaited, killed, its log shown where it fails
redis       Debian's redis-server; replicas, TLS, ACL and Sentinel by options
postgres    Debian's PostgreSQL, under its own user where we are root
kafka       Apache Kafka from Maven Central in KRaft mode, one broker or several
__main__    `make servers`: one of each, until Ctrl-C
"""

from tests.servers.kafka import KafkaCluster
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerMissing, ServerProcess
from tests.servers.redis import RedisServer

__all__ = ["KafkaCluster", "PostgresServer", "RedisServer", "ServerMissing", "ServerProcess"]
