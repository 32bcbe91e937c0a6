package web

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
)

// Bounds of a form that carries a file, beside the file.
const (
	mostParts = 20
	mostPart  = 4 << 10
)

// upload is a form that carried a file.
type upload struct {
	fields url.Values
	name   string // of the file, as the browser told it; "" if there is none
	data   []byte
	long   bool // the file has more than was asked for, and none of it is here
}

// readUpload reads a form with one file of at most so many bytes. It is read as it
// comes and never put on the disk.
func readUpload(w http.ResponseWriter, r *http.Request, file string, most int64) (upload, error) {
	u := upload{fields: url.Values{}}
	r.Body = http.MaxBytesReader(w, r.Body, most+mostParts*(mostPart+1<<10))
	parts, err := r.MultipartReader()
	if err != nil {
		return u, nil //nolint:nilerr // a form of another sort carries no file
	}
	for range mostParts {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return u, nil
		}
		if err == nil {
			err = u.take(part, file, most)
		}
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			u.data, u.long = nil, true
			return u, nil
		}
		if err != nil {
			return u, errNoPage
		}
	}
	return u, errNoPage
}

// take reads one part of the form.
func (u *upload) take(part *multipart.Part, file string, most int64) error {
	if part.FormName() != file {
		value, err := io.ReadAll(io.LimitReader(part, mostPart+1))
		if err == nil && len(value) > mostPart {
			err = fmt.Errorf("the field %.40q has more than %d bytes", part.FormName(), mostPart)
		}
		if err == nil {
			u.fields.Add(part.FormName(), string(value))
		}
		return err
	}
	data, err := io.ReadAll(io.LimitReader(part, most+1))
	if err != nil {
		return err
	}
	if u.name = part.FileName(); int64(len(data)) > most {
		u.data, u.long = nil, true
		return nil
	}
	u.data = data
	return nil
}
