package admin

import "net/http"

func (s *Server) addDebug(*http.ServeMux) {}
