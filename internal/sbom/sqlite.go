package sbom

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// sqlite reads tables out of an SQLite database: of its file format (version 3) what it
// takes to walk a table's B-tree, and no indexes. It holds one page a level, and one row.
type sqlite struct {
	r        io.ReaderAt
	pageSize int64
	usable   int // bytes of a page without those that are reserved at its end
	pages    int64
	visits   int64 // pages that may still be read
}

// errSQLite says that a database contradicts its format.
var errSQLite = errors.New("not a proper SQLite database")

const (
	sqliteMagic    = "SQLite format 3\x00"
	sqliteHeader   = 100 // bytes at the start of the first page
	interiorTable  = 0x05
	leafTable      = 0x0d
	maxSQLiteDepth = 20
)

// openSQLite reads the header of a database of size bytes. Errors that do not wrap errSQLite are those of r.
func openSQLite(r io.ReaderAt, size int64) (*sqlite, error) {
	head := make([]byte, sqliteHeader)
	if size < sqliteHeader {
		return nil, fmt.Errorf("%w: too short", errSQLite)
	}
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	page := int64(binary.BigEndian.Uint16(head[16:]))
	if page == 1 {
		page = 1 << 16
	}
	db := &sqlite{r: r, pageSize: page, usable: int(page) - int(head[20])}
	if string(head[:16]) != sqliteMagic || page < 512 || page&(page-1) != 0 || db.usable < 480 || size%page != 0 {
		return nil, fmt.Errorf("%w: header", errSQLite)
	}
	if encoding := binary.BigEndian.Uint32(head[56:]); encoding > 1 {
		return nil, fmt.Errorf("%w: texts are not UTF-8", errSQLite)
	}
	db.pages = size / page
	db.visits = db.pages + 100 // a tree visits no page twice, and the root of the schema is asked for apart
	return db, nil
}

// page reads a page; numbers start at 1.
func (db *sqlite) page(number int64) ([]byte, error) {
	if number < 1 || number > db.pages {
		return nil, fmt.Errorf("%w: no page %d", errSQLite, number)
	}
	if db.visits--; db.visits < 0 {
		return nil, fmt.Errorf("%w: pages that lead to each other", errSQLite)
	}
	b := make([]byte, db.pageSize)
	if _, err := db.r.ReadAt(b, (number-1)*db.pageSize); err != nil {
		return nil, fmt.Errorf("read page %d: %w", number, err)
	}
	return b[:db.usable], nil
}

// rows gives each row of the table with that root page: its number and its record, which is valid during the call.
func (db *sqlite) rows(root int64, each func(id int64, record []byte) error) error {
	return db.walk(root, 0, each)
}

func (db *sqlite) walk(number int64, depth int, each func(int64, []byte) error) error {
	p, err := db.page(number)
	if err != nil {
		return err
	}
	at := 0
	if number == 1 {
		at = sqliteHeader
	}
	kind, header := p[at], 8
	if kind == interiorTable {
		header = 12
	}
	if kind != interiorTable && kind != leafTable || depth > maxSQLiteDepth {
		return fmt.Errorf("%w: page %d is of kind %d at depth %d", errSQLite, number, kind, depth)
	}
	cells := int(binary.BigEndian.Uint16(p[at+3:]))
	if at+header+2*cells > len(p) {
		return fmt.Errorf("%w: page %d of %d cells", errSQLite, number, cells)
	}
	for i := range cells {
		cell := int(binary.BigEndian.Uint16(p[at+header+2*i:]))
		if cell > len(p)-4 {
			return fmt.Errorf("%w: cell of page %d", errSQLite, number)
		}
		if kind == interiorTable {
			err = db.walk(int64(binary.BigEndian.Uint32(p[cell:])), depth+1, each)
		} else {
			err = db.leaf(p[cell:], each)
		}
		if err != nil {
			return err
		}
	}
	if kind == interiorTable {
		return db.walk(int64(binary.BigEndian.Uint32(p[at+8:])), depth+1, each)
	}
	return nil
}

// leaf puts a row together that may overflow into pages of its own.
func (db *sqlite) leaf(cell []byte, each func(int64, []byte) error) error {
	size, n := sqliteVarint(cell)
	id, m := sqliteVarint(cell[n:])
	if n == 0 || m == 0 || size < 0 || size > maxHeader {
		return fmt.Errorf("%w: row of %d bytes", errSQLite, size)
	}
	cell = cell[n+m:]
	local := db.local(int(size))
	rest := int(size) - local
	if local > len(cell) || rest > 0 && local+4 > len(cell) {
		return fmt.Errorf("%w: row of %d bytes", errSQLite, size)
	}
	if rest == 0 {
		return each(id, cell[:local])
	}
	if int64(rest) > db.pages*db.pageSize {
		return fmt.Errorf("%w: row of %d bytes", errSQLite, size)
	}
	row := append(make([]byte, 0, size), cell[:local]...)
	next := int64(binary.BigEndian.Uint32(cell[local:]))
	for rest > 0 {
		p, err := db.page(next)
		if err != nil {
			return err
		}
		n := min(rest, len(p)-4)
		row = append(row, p[4:4+n]...)
		rest -= n
		next = int64(binary.BigEndian.Uint32(p))
	}
	return each(id, row)
}

// local tells how many bytes of a row stand in its leaf. See the file format, B-tree Pages.
func (db *sqlite) local(size int) int {
	if size <= db.usable-35 {
		return size
	}
	least := (db.usable-12)*32/255 - 23
	if n := least + (size-least)%(db.usable-4); n <= db.usable-35 {
		return n
	}
	return least
}

// sqliteVarint decodes a number of up to nine bytes; n is 0 when b ends before it does.
func sqliteVarint(b []byte) (v int64, n int) {
	for i := range min(len(b), 9) {
		if i == 8 {
			return v<<8 | int64(b[i]), 9
		}
		v = v<<7 | int64(b[i]&0x7f)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// column is a value of a row: a number when data is nil.
type column struct {
	data   []byte
	number int64
}

// sqliteColumns takes a record apart. See the file format, Record Format.
func sqliteColumns(record []byte) ([]column, error) {
	bad := fmt.Errorf("%w: record", errSQLite)
	header, n := sqliteVarint(record)
	if n == 0 || header < int64(n) || header > int64(len(record)) {
		return nil, bad
	}
	types, values := record[n:header], record[header:]
	var out []column
	for len(types) > 0 {
		kind, n := sqliteVarint(types)
		if n == 0 || kind < 0 || kind == 10 || kind == 11 || len(out) > 100 {
			return nil, bad
		}
		types = types[n:]
		size := int64(0)
		switch {
		case kind >= 12:
			size = (kind - 12) / 2
		case kind < 8:
			size = []int64{0, 1, 2, 3, 4, 6, 8, 8}[kind]
		}
		if size > int64(len(values)) {
			return nil, bad
		}
		c := column{data: values[:size:size]}
		if kind < 12 {
			c = column{number: sqliteInteger(kind, values[:size])}
		}
		out, values = append(out, c), values[size:]
	}
	return out, nil
}

func sqliteInteger(kind int64, b []byte) int64 {
	if kind == 9 {
		return 1
	}
	var v int64
	for i, c := range b {
		if i == 0 {
			v = int64(int8(c)) // #nosec G115 -- two's complement
			continue
		}
		v = v<<8 | int64(c)
	}
	return v
}
