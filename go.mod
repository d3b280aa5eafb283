module github.com/sello-release/sello

go 1.26
