def test_world(world):
    assert world.anonymous.get("/livez").status == 200
