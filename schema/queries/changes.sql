-- The feed of changes.

-- name: change_page :call
-- takes: after, mark, most, source
SELECT p.item, p.place, p.mark, p.more FROM change_page(:after::bigint, :mark, :most::int, :source) p
