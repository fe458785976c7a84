"""Calendars under secret addresses when the database fails: a reader is told to come again, and the secret is told to nobody."""
import pytest


@pytest.fixture
def address(world):
    made = world.must(world.at("AA-W1", "reporter").post("/v1/calendar-subscriptions", {
        "name": "Lịch", "organization": "AA-W1", "expires_on": "2027-06-30"}))
    return "/v1/calendars/" + made["address"].rsplit("/", 1)[1]


def test_without_a_database_it_is_503_and_comes_back(another, running, address):
    service = another(log_level="debug", pool_wait_ms=500)
    http = service.http()
    tag = http.request("GET", address).header("ETag")
    running.stop("immediate")
    answer = http.request("GET", address)
    assert answer.status == 503 and answer.header("Retry-After") and answer.json()["instance"] == "/v1/calendars/***", answer
    running.ensure()
    service.wait_ready()
    again = http.request("GET", address)
    assert again.status == 200 and again.header("ETag") == tag
    assert address.rsplit("/", 1)[1] not in service.log() + answer.text


def test_a_lost_connection_is_not_noticed(another, cluster, address):
    service = another(quick_pool=1, log_level="debug")
    http = service.http()
    assert http.request("GET", address).status == 200
    cluster.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tiendo_service'")
    assert http.request("GET", address).status == 200
    assert address.rsplit("/", 1)[1] not in service.log()


def test_a_marked_use_that_is_locked_does_not_hold_up_the_reader(another, cluster, address):
    """That an address was used is noted once a day; whoever notes it at this moment is not waited for."""
    service = another(quick_lock_timeout_ms=1000)
    with cluster.connect() as connection, connection.cursor() as cursor:
        connection.autocommit = False
        cursor.execute("SELECT id FROM tiendo.calendar_subscription FOR UPDATE")
        assert service.http().request("GET", address).status == 200
        connection.rollback()
    assert service.http().request("GET", address).status == 200
