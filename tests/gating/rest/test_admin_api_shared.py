"""Two gating services on one PostgreSQL ledger: whichever is asked, a key of the caller's is carried out once."""

import concurrent.futures

from tests.gating.rest.served import serving


def test_a_key_given_to_two_services_at_once_makes_one_change(postgres_url, redis_url, tmp_path):
    engines = {"database_url": postgres_url, "redis_url": redis_url}
    with (
        serving(tmp_path / "one", log=tmp_path / "one.log", **engines) as one,
        serving(tmp_path / "two", log=tmp_path / "two.log", **engines) as two,
        concurrent.futures.ThreadPoolExecutor(8) as threads,
    ):
        secret, account = one.token()["token"], one.account()
        clients = [served.client(secret) for served in (one, two) for _ in range(4)]
        path = f"/accounts/{account}/keys"

        def ask(client, number):
            return client.post(path, json={"source": "web"}, headers={"Idempotency-Key": f"key-{number}"})

        for number in range(3):
            answers = list(threads.map(ask, clients, [number] * len(clients)))
            assert {answer.status_code for answer in answers} <= {
                201,
                409,
            }  # 409: still carried out by the same service
            made = [answer for answer in answers if answer.is_success]
            assert len({answer.json()["write_key"] for answer in made}) == 1
            assert sum("idempotency-replayed" not in answer.headers for answer in made) == 1
        assert len(clients[0].all(path)[0]) == 1 + 3
        tags = {client.get(f"/accounts/{account}").headers["etag"] for client in clients}
        assert len(tags) == 1
        tag = {"If-Match": tags.pop()}
        flips = list(threads.map(lambda client: client.post(path, json={}, headers=tag).status_code, clients))
        assert sorted(flips) == [201, *[412] * 7]
