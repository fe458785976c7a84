-- Progress.

-- name: progress :one
SELECT progress(:organization, :period, :indicator, :programme, :by) AS body
