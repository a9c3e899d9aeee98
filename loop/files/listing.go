package files

func (t *fetch) list() error { return errNotFile }
