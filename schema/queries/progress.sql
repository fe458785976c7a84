-- Progress.

-- name: progress :one
SELECT progress(:organization, :period, :indicator, :programme, :by, :tree) AS body

-- name: progress_explain :one
SELECT progress_explain(:organization, :period, :indicator, :since::date, :top::int, :tree, :language) AS body
