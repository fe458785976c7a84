"""What the parts of the benchmark agree on."""
UNIT = "01900000-0000-7000-8000-100000100500"  # the unit whose reading is watched
CELLS = (381, 2280)  # the numbers of the cells, as province.sql makes them
GET = "get GET /v1/organizations/01900000-0000-7000-8000-@r:100000100001:100000102280@"
